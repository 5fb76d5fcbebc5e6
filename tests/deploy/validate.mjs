// validate.mjs [--json] FILE...: every YAML document in the files ('-': standard input) is an object that Kubernetes
// knows: kind, field names, types, required fields, values of enumerations. Prints what is wrong as
//   file: document 2: Job/shop-migrate: .spec.template.spec.restartPolicy: must be one of Always, Never, OnFailure
// and ends with 1; with 2 when it could not look. A kind that it has no types for is an error, as is a file without an
// object. With --json it prints a line for each file, an array of its objects, for jq. It does not know what a server
// checks beyond types, such as the pattern of a name.
//
// Types are those of the packages below. Their validators find wrong types and values, and overlook fields that do not
// exist; for these the declarations of the same packages are walked along the object.
// LOCKKEEPER_DEPLOY_TOOLS: the directory that scripts/fetch-deploy-tools.sh prints; it is run when that is not set.
import {spawnSync} from 'node:child_process';
import {existsSync, readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';
import {fileURLToPath, pathToFileURL} from 'node:url';

const packages = [
  'kubernetes-models',
  '@kubernetes-models/argo-cd',
  '@kubernetes-models/argo-rollouts',
  '@kubernetes-models/cloudnative-pg',
  '@kubernetes-models/external-secrets',
  '@kubernetes-models/flux-cd',
  '@kubernetes-models/prometheus-operator',
];

// Enumerations that Kubernetes checks and its OpenAPI description has as plain text. '*' is one step of the path.
const podSpecs = {
  Pod: '/spec',
  CronJob: '/spec/jobTemplate/spec/template/spec',
  AnalysisTemplate: '/spec/metrics/*/provider/job/spec/template/spec',
  ClusterAnalysisTemplate: '/spec/metrics/*/provider/job/spec/template/spec',
};
const podSpecEnumerations = {
  '/containers/*/restartPolicy': ['Always', 'OnFailure', 'Never'],
  '/initContainers/*/restartPolicy': ['Always', 'OnFailure', 'Never'],
};
const jobEnumerations = {
  '/podFailurePolicy/rules/*/onPodConditions/*/status': ['True', 'False', 'Unknown'],
};

class CannotLook extends Error {}

function toolsDirectory() {
  if (process.env.LOCKKEEPER_DEPLOY_TOOLS) return process.env.LOCKKEEPER_DEPLOY_TOOLS;
  const script = fileURLToPath(new URL('../../scripts/fetch-deploy-tools.sh', import.meta.url));
  const run = spawnSync(script, {encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit']});
  if (run.status !== 0) throw new CannotLook(`${script} failed${run.error ? `: ${run.error.message}` : ''}`);
  return run.stdout.trim();
}

let modules, yaml, ts;
function loadTools() {
  modules = path.join(toolsDirectory(), 'node_modules');
  const require = createRequire(path.join(modules, 'x.js'));
  yaml = require('yaml');
  ts = require('typescript');
}

// As the parser of kubectl, Helm and kustomize reads it: YAML 1.1 (yes and on are booleans, 0440 is octal), but a
// timestamp and 10:30 are text.
function parse(text) {
  return yaml.parseAllDocuments(text, {
    version: '1.1',
    customTags: tags => tags.filter(tag => tag.tag !== 'tag:yaml.org,2002:timestamp' && tag.format !== 'TIME'),
  });
}

// Where the packages have a kind: without extension, or undefined.
function modelOf(apiVersion, kind) {
  if (!/^[a-z0-9.-]+(\/[a-z0-9]+)?$/.test(apiVersion) || !/^[A-Z][A-Za-z0-9]*$/.test(kind)) return undefined;
  const file = packages
    .map(name => path.join(modules, name, apiVersion, kind))
    .find(name => existsSync(`${name}.d.ts`));
  // The same directory has the parts (JobSpec): what is an object of its own says so.
  return file && readFileSync(`${file}.js`, 'utf8').includes('apiVersion=') ? file : undefined;
}

// A path one step further: .spec, .containers[0], .annotations["example.com/name"]
function join(at, key) {
  if (/^[A-Za-z_][\w-]*$/.test(key)) return `${at}.${key}`;
  return `${at}[${/^\d+$/.test(key) ? key : JSON.stringify(key)}]`;
}

// What the validators say, as messages.
async function violations(model, object) {
  const module = await import(pathToFileURL(`${model}.js`));
  try {
    new module[path.basename(model)](object).validate();
    return [];
  } catch (error) {
    if (!error.errors) throw error;
    return error.errors.map(({instancePath, keyword, message, params}) => ({
      at: instancePath
        .split('/')
        .slice(1)
        .map(key => key.replace(/~1/g, '/').replace(/~0/g, '~'))
        .reduce(join, ''),
      message: keyword === 'enum' ? `must be one of ${params.allowedValues.join(', ')}` : message,
    }));
  }
}

// The fields that the declared type of a value does not have.
function unknownFields(checker, type, value, at = '') {
  if (value === null || typeof value !== 'object') return [];
  const types = type.isUnion() ? type.types : [type];
  if (types.some(one => one.flags & (ts.TypeFlags.Any | ts.TypeFlags.Unknown))) return [];
  if (Array.isArray(value)) {
    const array = types.find(one => checker.isArrayType(one));
    const item = array && checker.getTypeArguments(array)[0];
    return item ? value.flatMap((one, index) => unknownFields(checker, item, one, `${at}[${index}]`)) : [];
  }
  const objects = types.filter(one => one.flags & ts.TypeFlags.Object && !checker.isArrayType(one));
  return Object.entries(value).flatMap(([key, one]) => {
    for (const object of objects) {
      const property = checker.getPropertyOfType(object, key);
      const inside = property
        ? checker.getTypeOfSymbol(property)
        : checker.getIndexTypeOfType(object, ts.IndexKind.String);
      if (inside) return unknownFields(checker, inside, one, join(at, key));
    }
    // Types without any field of their own, such as free-form JSON, take all.
    if (objects.some(object => checker.getPropertiesOfType(object).length === 0)) return [];
    const known = objects.flatMap(object => checker.getPropertiesOfType(object).map(property => property.name));
    const near = known.find(name => name.toLowerCase() === key.toLowerCase());
    return objects.length ? [{at: join(at, key), message: `unknown field${near ? `: it is spelt ${near}` : ''}`}] : [];
  });
}

function* select(value, steps, at = '') {
  if (steps.length === 0) yield {value, at};
  else if (value && typeof value === 'object') {
    const keys = steps[0] === '*' ? Object.keys(value) : steps[0] in value ? [steps[0]] : [];
    for (const key of keys) yield* select(value[key], steps.slice(1), join(at, key));
  }
}

function badEnumerations(object) {
  const found = [];
  const look = (base, table) => {
    for (const [where, allowed] of Object.entries(table)) {
      for (const {value, at} of select(object, `${base}${where}`.split('/').slice(1))) {
        if (typeof value === 'string' && !allowed.includes(value)) {
          found.push({at, message: `must be one of ${allowed.join(', ')}`});
        }
      }
    }
  };
  const podSpec = podSpecs[object.kind] ?? '/spec/template/spec';
  look(podSpec, podSpecEnumerations);
  look(podSpec.replace(/\/template\/spec$/, ''), jobEnumerations);
  return found;
}

async function main(files, print) {
  if (files.length === 0 || files.some(file => /^-./.test(file))) {
    throw new CannotLook('usage: validate.mjs [--json] FILE...');
  }
  const texts = files.map(file => {
    try {
      return readFileSync(file === '-' ? 0 : file, 'utf8');
    } catch (error) {
      throw new CannotLook(error.message);
    }
  });
  loadTools();
  const found = [];
  const objects = [];
  for (const [number, file] of files.entries()) {
    const before = objects.length + found.length;
    for (const [index, document] of [...parse(texts[number])].entries()) {
      const where = `${file}: document ${index + 1}`;
      for (const error of document.errors) found.push(`${where}: ${error.message.split('\n')[0]}`);
      if (document.errors.length > 0) continue;
      const object = document.toJS();
      if (object === null) continue; // only comments
      if (typeof object !== 'object' || Array.isArray(object)) {
        found.push(`${where}: not an object`);
        continue;
      }
      const {apiVersion, kind, metadata} = object;
      const name = `${where}: ${kind}/${metadata?.name}`;
      if (typeof apiVersion !== 'string' || typeof kind !== 'string') {
        found.push(`${where}: apiVersion and kind must be text`);
        continue;
      }
      const model = modelOf(apiVersion, kind);
      if (!model) {
        found.push(`${name}: ${apiVersion} ${kind} is not known (packages with types are listed in validate.mjs)`);
        continue;
      }
      if (typeof metadata?.name !== 'string' || metadata.name === '') found.push(`${name}: .metadata.name: is missing`);
      objects.push({file, name, object, model});
    }
    if (objects.length + found.length === before) found.push(`${file}: no object in it`);
  }

  const declarations = [...new Set(objects.map(({model}) => `${model}.d.ts`))];
  const options = {
    lib: ['lib.es5.d.ts'],
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    noEmit: true,
    types: [],
  };
  const host = ts.createCompilerHost(options);
  host.jsDocParsingMode = ts.JSDocParsingMode.ParseNone;
  const program = ts.createProgram(declarations, options, host);
  const checker = program.getTypeChecker();
  for (const {name, object, model} of objects) {
    const source = program.getSourceFile(`${model}.d.ts`);
    const symbol = checker
      .getExportsOfModule(checker.getSymbolAtLocation(source))
      .find(one => one.name === `I${path.basename(model)}`);
    if (!symbol) throw new CannotLook(`${model}.d.ts has no I${path.basename(model)}`);
    const messages = [
      ...(await violations(model, object)),
      ...unknownFields(checker, checker.getDeclaredTypeOfSymbol(symbol), object),
      ...badEnumerations(object),
    ];
    found.push(...new Set(messages.map(({at, message}) => `${name}: ${at || '.'}: ${message}`)));
  }
  for (const line of found) console.error(line);
  if (print) {
    for (const file of files) {
      console.log(JSON.stringify(objects.filter(one => one.file === file).map(one => one.object)));
    }
  }
  return found.length > 0 ? 1 : 0;
}

try {
  const files = process.argv.slice(2);
  const print = files[0] === '--json';
  process.exitCode = await main(print ? files.slice(1) : files, print);
} catch (error) {
  console.error(`validate.mjs: ${error instanceof CannotLook ? error.message : error.stack}`);
  process.exitCode = 2;
}
