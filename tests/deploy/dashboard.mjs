// dashboard.mjs FILE...: each file is a Grafana dashboard by Grafana's own types (the package @grafana/schema): fields,
// types, enumerations; for each panel also the options and the field configuration of its plugin, and the fields of its
// queries.
// Prints what is wrong as
//   FILE: .panels[3] (Databases).fieldConfig.defaults.unit: must be string
// and ends with 1. Beyond types: ids are unique, panels lie beside each other and not on top of each other.
// LOCKKEEPER_DEPLOY_TOOLS: the directory that scripts/fetch-deploy-tools.sh prints.
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';

const modules = path.join(process.env.LOCKKEEPER_DEPLOY_TOOLS, 'node_modules');
const ts = createRequire(path.join(modules, 'x.js'))('typescript');
const raw = path.join(modules, '@grafana/schema/dist/types/raw');
const plugins = {
  bargauge: 'bargauge',
  stat: 'stat',
  'state-timeline': 'statetimeline',
  table: 'table',
  timeseries: 'timeseries',
};
const file = plugin => path.join(raw, 'composable', plugin, 'panelcfg/x/types.gen.d.ts');
const dashboardFile = path.join(raw, 'dashboard/x/types.gen.d.ts');

const program = ts.createProgram([dashboardFile, ...Object.values(plugins).map(file)], {
  lib: ['lib.es2020.d.ts', 'lib.dom.d.ts'],
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  noEmit: true,
  skipLibCheck: true,
  strict: true,
  types: [],
});
const checker = program.getTypeChecker();

// An exported type of a file, or undefined.
function typeOf(name, of) {
  const source = program.getSourceFile(of);
  if (!source) throw new Error(`${of} is not there: another version of @grafana/schema`);
  const symbol = checker.getExportsOfModule(checker.getSymbolAtLocation(source)).find(one => one.name === name);
  return symbol && checker.getDeclaredTypeOfSymbol(symbol);
}

const wrong = (at, message) => [{at, message}];

// What is wrong with a value of this type. Grafana fills in what is missing in the options of a plugin: partial.
function check(type, value, at, partial = false) {
  const flags = ts.TypeFlags;
  if (type.flags & (flags.Any | flags.Unknown)) return [];
  if (type.isUnion()) {
    // The member that fits best says what is wrong.
    let best;
    for (const member of type.types) {
      const errors = check(member, value, at, partial);
      if (errors.length === 0) return [];
      if (!best || depth(errors) > depth(best)) best = errors;
    }
    return type.types.every(member => member.flags & (flags.Literal | flags.Undefined | flags.Null))
      ? wrong(at, `must be one of ${type.types.filter(one => 'value' in one).map(one => one.value).join(', ')}`)
      : best;
  }
  const other = wrong(at, `must be ${checker.typeToString(type)}`);
  if (value === null) return type.flags & flags.Null ? [] : other;
  if ('value' in type) return value === type.value ? [] : wrong(at, `must be ${type.value}`);
  if (typeof value === 'string') return type.flags & flags.String ? [] : other;
  if (typeof value === 'number') return type.flags & flags.Number ? [] : other;
  if (typeof value === 'boolean') {
    return type.flags & flags.BooleanLike && checker.typeToString(type) === String(value) ? [] : other;
  }
  if (Array.isArray(value)) {
    if (!checker.isArrayType(type)) return other;
    const item = checker.getTypeArguments(type)[0];
    return value.flatMap((one, index) => check(item, one, `${at}[${index}]`, partial));
  }
  if (!(type.flags & (flags.Object | flags.Intersection)) || checker.isArrayType(type)) return other;
  const index = checker.getIndexTypeOfType(type, ts.IndexKind.String);
  const errors = [];
  for (const [key, one] of Object.entries(value)) {
    const property = checker.getPropertyOfType(type, key);
    const inside = property ? checker.getTypeOfSymbol(property) : index;
    if (!inside) errors.push({at: `${at}.${key}`, message: 'unknown field'});
    else errors.push(...check(inside, one, `${at}.${key}`, partial));
  }
  for (const property of partial ? [] : checker.getPropertiesOfType(type)) {
    if (!(property.flags & ts.SymbolFlags.Optional) && !(property.name in value)) {
      errors.push({at: `${at}.${property.name}`, message: 'is missing'});
    }
  }
  return errors;
}
const depth = errors => Math.min(...errors.map(({at}) => at.split(/[.[]/).length));

// Prometheus' plugin has no types in the package: what its query editor writes.
const query = {
  refId: 'string',
  datasource: 'object',
  expr: 'string',
  legendFormat: 'string',
  instant: 'boolean',
  range: 'boolean',
  format: 'string',
};

function checkPanel(panel, at) {
  const plugin = plugins[panel.type];
  if (!plugin) return wrong(`${at}.type`, `no types are loaded for ${panel.type}: dashboard.mjs lists them`);
  const errors = check(typeOf('Options', file(plugin)), panel.options, `${at}.options`, true);
  const fields = typeOf('FieldConfig', file(plugin));
  const custom = panel.fieldConfig.defaults.custom;
  if (custom && !fields) errors.push(...wrong(`${at}.fieldConfig.defaults.custom`, `${panel.type} has none`));
  if (custom && fields) errors.push(...check(fields, custom, `${at}.fieldConfig.defaults.custom`, true));
  const defaults = typeOf('FieldConfig', dashboardFile);
  for (const [index, {properties}] of panel.fieldConfig.overrides.entries()) {
    for (const {id, value} of properties) {
      const [first, second] = id.split('.');
      const where = `${at}.fieldConfig.overrides[${index}] ${id}`;
      const owner = second ? fields : defaults;
      const property = owner && checker.getPropertyOfType(owner, second ?? first);
      if (!property || (second && first !== 'custom')) errors.push(...wrong(where, 'unknown field'));
      else errors.push(...check(checker.getTypeOfSymbol(property), value, where, true));
    }
  }
  for (const [index, target] of panel.targets.entries()) {
    for (const [key, value] of Object.entries(target)) {
      if (typeof value !== query[key]) errors.push(...wrong(`${at}.targets[${index}].${key}`, 'unknown field or type'));
    }
    if (!target.expr || !target.refId) errors.push(...wrong(`${at}.targets[${index}]`, 'needs expr and refId'));
    const format = ['time_series', 'table'].includes(target.format);
    if (!format) errors.push(...wrong(`${at}.targets[${index}].format`, 'must be time_series or table'));
    if (target.instant === target.range) errors.push(...wrong(`${at}.targets[${index}]`, 'instant or range'));
  }
  if (!panel.description) errors.push(...wrong(at, 'has no description'));
  const names = new Set(panel.targets.map(({refId}) => refId));
  if (names.size !== panel.targets.length) errors.push(...wrong(at, 'refId twice'));
  return errors;
}

function checkDashboard(dashboard) {
  const {panels, ...rest} = dashboard;
  const found = check(typeOf('Dashboard', dashboardFile), rest, '');
  const cells = new Map();
  const ids = new Set();
  for (const [index, panel] of panels.entries()) {
    const at = `.panels[${index}] (${panel.title})`;
    const isRow = panel.type === 'row';
    found.push(...check(typeOf(isRow ? 'RowPanel' : 'Panel', dashboardFile), panel, at));
    if (!isRow) found.push(...checkPanel(panel, at));
    if (ids.has(panel.id)) found.push(...wrong(at, `id ${panel.id} twice`));
    ids.add(panel.id);
    const {x, y, w, h} = panel.gridPos;
    if (x < 0 || x + w > 24) found.push(...wrong(at, 'is wider than the grid of 24'));
    for (let column = x; column < x + w; column++) {
      for (let line = y; line < y + h; line++) {
        const cell = `${column},${line}`;
        if (cells.has(cell)) found.push(...wrong(at, `lies on ${cells.get(cell)}`));
        cells.set(cell, panel.title);
      }
    }
  }
  return found;
}

for (const name of process.argv.slice(2)) {
  const found = checkDashboard(JSON.parse(readFileSync(name, 'utf8')));
  for (const line of new Set(found.map(({at, message}) => `${name}: ${at || '.'}: ${message}`))) console.error(line);
  if (found.length > 0) process.exitCode = 1;
}
