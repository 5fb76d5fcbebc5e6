#include "app/run.hpp"

#include <array>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <span>
#include <utility>

#include <stdlib.h>
#include <unistd.h>

#include <fmt/format.h>

#include "app/commands.hpp"
#include "app/deliver.hpp"
#include "config/load.hpp"
#include "config/option_table.hpp"
#include "core/tally.hpp"
#include "files/checksum.hpp"
#include "files/statements.hpp"
#include "libraries.hpp"
#include "observe/http.hpp"
#include "observe/log.hpp"
#include "observe/terminal.hpp"
#include "observe/termination.hpp"
#include "pg/connect.hpp"
#include "util/interrupt.hpp"
#include "version.hpp"

namespace lockkeeper::app {

namespace {

using config::Settings;
using util::Error;
using util::ErrorInfo;
using util::Outcome;

struct CommandFunction {
  std::string_view name;
  Outcome (*call)(Context&);
};

constexpr std::array k_functions = {
    CommandFunction{"up", up},           CommandFunction{"plan", plan},         CommandFunction{"status", status},
    CommandFunction{"verify", verify},   CommandFunction{"check", check},       CommandFunction{"wait", wait},
    CommandFunction{"down", down},       CommandFunction{"baseline", baseline}, CommandFunction{"repair", repair},
    CommandFunction{"grants", grants},   CommandFunction{"doctor", doctor},     CommandFunction{"new", new_migration},
    CommandFunction{"explain", explain},
};

bool colour_allowed(const config::Environment& environment) {
  const auto term = config::find_variable(environment, "TERM");
  return !config::find_variable(environment, "NO_COLOR") && term != "dumb";
}

std::unique_ptr<core::Observer> make_observer(const Settings& settings, const util::Clock& clock, bool colour,
                                              const RunTrace& trace) {
  const bool terminal = ::isatty(STDERR_FILENO) != 0;
  const bool text = settings.log_format == config::LogFormat::text ||
                    (settings.log_format == config::LogFormat::automatic && terminal);
  if (text && terminal) {
    return std::make_unique<observe::TerminalObserver>(
        clock, observe::TerminalOptions{.colour = colour, .interactive = true, .verbose = settings.verbose});
  }
  return std::make_unique<observe::LogObserver>(
      clock, text ? observe::LogStyle::text : observe::LogStyle::json,
      settings.verbose ? core::Level::debug : core::Level::info, stderr,
      observe::LogTrace{.trace_id = trace.context ? trace.context->trace_id : "", .span_id = trace.span});
}

/// Commands whose result is their output do not end with a record of the run; an error is shown all the same.
bool tells_story(const std::string& command) {
  return command == "up" || command == "down" || command == "baseline" || command == "repair" || command == "check" ||
         command == "wait";
}

/// The command, with whatever it throws turned into the report's outcome.
void execute(Context& context) {
  try {
    for (const CommandFunction& command : k_functions) {
      if (command.name == context.settings.command) {
        context.report.outcome = command.call(context);
        return;
      }
    }
    throw Error(Outcome::internal, fmt::format("no function for command {}", context.settings.command));
  } catch (const Error& error) {
    context.report.outcome = error.info().outcome;
    context.report.error = error.info();
  } catch (const std::bad_alloc&) {
    context.report.error = ErrorInfo{.outcome = Outcome::internal, .message = "out of memory"};
    context.report.outcome = Outcome::internal;
  } catch (const std::exception& error) {
    context.report.error = ErrorInfo{.outcome = Outcome::internal, .message = error.what()};
    context.report.outcome = Outcome::internal;
  }
}

void show_error(const Context& context) {
  if (context.report.error && !tells_story(context.settings.command)) {
    // A wrong command line is read by people; commands without a database have no --log-format.
    const bool for_people =
        context.report.outcome == Outcome::usage || !config::find_command(context.settings.command)->needs_database;
    if (for_people || ::isatty(STDERR_FILENO) != 0) {
      tell(observe::render_error(*context.report.error, context.stderr_colour) + "\n");
    } else {
      context.observer.on(core::RunFinished{context.report});
    }
  }
}

void write_termination(const Settings& settings, const core::Report& report, core::Observer& observer) {
  if (!config::find_command(settings.command)->needs_database) {
    return;
  }
  if (auto warning = observe::write_termination_message(settings.termination_log, report)) {
    observer.on(core::Note{.level = core::Level::warning, .message = *warning});
  }
}

int run_command(const config::LoadResult& loaded) {
  util::SystemClock clock;
  const Settings& settings = loaded.settings;
  const bool colour = colour_allowed(loaded.environment);
  const RunTrace trace = make_trace(loaded.environment);
  const auto shown = make_observer(settings, clock, colour, trace);
  core::Report report;
  report.command = settings.command;
  report.tool_version = k_version;
  report.environment = settings.environment;
  report.started = clock.wall();
  report.trace_id = trace.context ? trace.context->trace_id : "";
  const util::SteadyTime begin = clock.now();
  const auto heartbeat = make_heartbeat(settings, report, clock, *shown);
  core::Tally tally(heartbeat ? static_cast<core::Observer&>(*heartbeat) : *shown, report);
  core::Observer* const observer = &tally;
  Context context{.settings = settings,
                  .environment = loaded.environment,
                  .clock = clock,
                  .observer = *observer,
                  .report = report,
                  .traceparent = trace.traceparent(),
                  .deadline = util::Deadline::after_or_never(clock, settings.limits.deadline),
                  .interactive = ::isatty(STDIN_FILENO) != 0 && ::isatty(STDERR_FILENO) != 0,
                  .stdout_colour = colour && ::isatty(STDOUT_FILENO) != 0,
                  .stderr_colour = colour && ::isatty(STDERR_FILENO) != 0};
  if (tells_story(settings.command)) {
    observer->on(core::RunStarted{.command = settings.command,
                                  .tool_version = std::string(k_version),
                                  .environment = settings.environment,
                                  .url_source = settings.database ? settings.database->description : ""});
  }
  if (tells_story(settings.command)) {
    for (const std::string& warning : trace.otlp.warnings) {
      observer->on(core::Note{.level = core::Level::warning, .message = warning});
    }
  }
  execute(context);
  report.duration = clock.now() - begin;
  if (heartbeat) {
    heartbeat->stop();
  }
  // Before receivers may take their time: whoever kills us meanwhile finds the result. Again after them: metrics that
  // are required may have changed it.
  write_termination(settings, report, *observer);
  const Outcome outcome = report.outcome;
  deliver_metrics(settings, report, clock, *observer);
  if (report.outcome != outcome) {
    write_termination(settings, report, *observer);
  }
  if (tells_story(settings.command)) {
    deliver_trace(trace, report, *observer);
  }
  if (tells_story(settings.command)) {
    observer->on(core::RunFinished{report});
  } else {
    show_error(context);
  }
  return util::exit_code(report.outcome).code;
}

/// An option's value when the settings as a whole are not to be had: from the flag, else from the variable.
std::string early_value(std::span<const char* const> arguments, const config::Environment& environment,
                        std::string_view option) {
  const std::string flag = config::flag_name(*config::find_option(option));
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    if (argument == flag && i + 1 < arguments.size()) {
      return arguments[i + 1];
    }
    if (argument.starts_with(flag + "=")) {
      return std::string(argument.substr(flag.size() + 1));
    }
  }
  return config::find_variable(environment, config::variable_name(*config::find_option(option))).value_or("");
}

/// Errors before there are settings, such as a broken lockkeeper.yaml.
int fail_early(const ErrorInfo& info, std::span<const char* const> arguments, const config::Environment& environment) {
  util::SystemClock clock;
  core::Report report;
  report.tool_version = k_version;
  report.outcome = info.outcome;
  report.error = info;
  report.started = clock.wall();
  const std::string format = early_value(arguments, environment, "log-format");
  const bool text = format == "text" || (format != "json" && ::isatty(STDERR_FILENO) != 0);
  if (info.outcome == Outcome::usage || text) {
    tell(observe::render_error(info, false) + "\n");
  } else {
    observe::LogObserver(clock, observe::LogStyle::json).on(core::RunFinished{report});
  }
  if (info.outcome != Outcome::usage) {
    observe::write_termination_message(early_value(arguments, environment, "termination-log"), report);
  }
  return util::exit_code(info.outcome).code;
}

std::string version_text(bool verbose) {
  std::string text = fmt::format("lockkeeper {}\n", k_version);
  if (verbose) {
    text += "built with\n";
    const std::array<std::pair<std::string_view, std::string>, 9> libraries = {{
        {"Boost.Program_options", std::string(k_boost_version)},
        {"fmt", std::string(k_fmt_version)},
        {"libcurl", observe::libcurl_version()},
        {"libpg_query", fmt::format("with the grammar of PostgreSQL {}", files::grammar_version())},
        {"libpq", pg::libpq_version()},
        {"nlohmann-json", std::string(k_nlohmann_json_version)},
        {"OpenSSL", files::openssl_version()},
        {"prometheus-cpp", std::string(k_prometheus_cpp_version)},
        {"yaml-cpp", std::string(k_yaml_cpp_version)},
    }};
    for (const auto& [name, version] : libraries) {
      text += fmt::format("  {:<22} {}\n", name, version);
    }
    text += k_static ? "linked statically; licences: LICENSES.txt beside the binary, in the image "
                       "/usr/share/lockkeeper/LICENSES.txt\n"
                     : "linked dynamically; licences: those of the libraries' packages\n";
  }
  return text;
}

}  // namespace

int run(int argc, const char* const* argv, const char* const* envp) {
  const std::span<const char* const> arguments(argv, static_cast<std::size_t>(argc));
  const config::Environment environment = config::capture(envp);
  try {
    util::install_interrupt_handlers();
    const config::LoadResult loaded = config::load(argc, argv, environment, ::isatty(STDIN_FILENO) != 0);
    switch (loaded.action) {
      case config::LoadResult::Action::print: print(loaded.text); return 0;
      case config::LoadResult::Action::version: print(version_text(loaded.settings.verbose)); return 0;
      case config::LoadResult::Action::run: break;
    }
    for (const auto& [name, value] : loaded.dotenv) {
      ::setenv(name.c_str(), value.c_str(), 0);  // libpq reads PGHOST and its like by itself
    }
    return run_command(loaded);
  } catch (const Error& error) {
    return fail_early(error.info(), arguments, environment);
  } catch (const std::exception& error) {
    return fail_early({.outcome = Outcome::internal, .message = error.what()}, arguments, environment);
  }
}

}  // namespace lockkeeper::app
