#include "app/context.hpp"

#include <array>
#include <utility>

#include <unistd.h>

#include <fmt/format.h>

#include "config/database_source.hpp"
#include "files/directory.hpp"
#include "pg/connect.hpp"
#include "pg/doctor.hpp"
#include "util/interrupt.hpp"
#include "version.hpp"

namespace lockkeeper::app {

namespace {

using util::Error;
using util::ErrorInfo;
using util::Outcome;

/// Ours go first, so that a URL that sets them wins: libpq takes the last of two equal keywords.
constexpr std::array k_connection_defaults = {
    std::pair{"keepalives", "1"},       std::pair{"keepalives_idle", "15"},     std::pair{"keepalives_interval", "5"},
    std::pair{"keepalives_count", "3"}, std::pair{"tcp_user_timeout", "30000"},
};

constexpr util::Duration k_longest_check_wait = std::chrono::hours(1);
constexpr util::Duration k_standby_poll = std::chrono::seconds(1);

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : std::string("unknown");
}

pg::Address to_address(const Context& context, const config::DatabaseAddress& given, Session::Use use) {
  pg::Address address;
  for (const auto& [keyword, value] : k_connection_defaults) {
    if (given.find(keyword) == nullptr) {
      address.parameters.emplace_back(keyword, value);
    }
  }
  if (given.multi_host && use == Session::Use::write && given.find("target_session_attrs") == nullptr) {
    address.parameters.emplace_back("target_session_attrs", "read-write");
  }
  for (const auto& [keyword, value] : given.parameters) {
    if (keyword != "application_name" && keyword != "client_encoding") {
      address.parameters.emplace_back(keyword, value);
    }
  }
  address.parameters.emplace_back("application_name",
                                  fmt::format("lockkeeper/{} {}", k_version, context.settings.command));
  address.parameters.emplace_back("client_encoding", "UTF8");
  address.password = given.password;
  address.has_password = given.has_password;
  return address;
}

void tell_notes(Context& context, const config::DatabaseAddress& address) {
  for (const std::string& note : address.notes) {
    context.observer.on(core::Note{.level = core::Level::info, .message = note});
  }
}

bool is_transaction_pooled(const Context& context, const core::Server& server) {
  return server.pooled && !context.settings.session_pooler;
}

[[noreturn]] void throw_needs_session(const std::string& what, std::optional<util::SourcePosition> where) {
  throw Error(
      ErrorInfo{.outcome = Outcome::unsupported_server,
                .message = fmt::format("{}, and there is a connection pooler in between: another backend answers than "
                                       "the one that we connected to",
                                       what),
                .hint = "Give a direct URL, without the pooler, in DIRECT_URL. If the pooler keeps one backend for a "
                        "whole session, say so with --pooler session. Nothing was changed.",
                .where = std::move(where)});
}

void require_usable(const Context& context, const core::Server& server, Session::Use use) {
  if (server.version_number < pg::k_oldest_server) {
    throw Error(Outcome::unsupported_server, fmt::format("PostgreSQL {} is too old", server.version),
                "Lockkeeper needs PostgreSQL 13 or later.");
  }
  if (use == Session::Use::read) {
    return;
  }
  if (server.in_recovery) {
    throw Error(Outcome::unsupported_server, "the server is a standby: it only allows reading",
                "Give the address of the primary; a URL with several hosts finds it by itself.");
  }
  if (server.read_only) {
    throw Error(Outcome::unsupported_server, "transactions are read-only here (default_transaction_read_only)",
                "Reset default_transaction_read_only for this role or database.");
  }
  if (is_transaction_pooled(context, server)) {
    const std::string& command = context.settings.command;
    if (command == "baseline" || command == "repair") {
      throw_needs_session(fmt::format("`{}` needs a session of its own", command), std::nullopt);
    }
    context.observer.on(core::Note{
        .level = core::Level::info,
        .message = "there is a connection pooler in between; it counts as pooling transactions (--pooler session says "
                   "otherwise), so each migration takes the lock in its own transaction"});
  }
}

/// `wait` waits for the server as long as for the migrations.
util::Duration connect_wait(const config::Settings& settings) {
  return settings.command == "wait" ? settings.wait_timeout : settings.connect_wait;
}

pg::DatabaseSettings database_settings(const Context& context, const std::string& search_path) {
  const config::Settings& settings = context.settings;
  return {.history = {.schema = settings.history_schema,
                      .table = settings.history_table,
                      .readers = settings.history_readers},
          .session = {.role = settings.role, .search_path = search_path, .session_pooler = settings.session_pooler},
          .runner = fmt::format("lockkeeper/{} {}", k_version, host_name()),
          .environment = settings.environment,
          .tool_version = std::string(k_version),
          .traceparent = context.traceparent,
          .trace_id = context.report.trace_id,
          .watch = {.on = settings.limits.watch,
                    .queue_limit = settings.limits.queue_limit,
                    .application_name = fmt::format("lockkeeper/{} watcher", k_version)},
          .pipeline = settings.limits.pipeline,
          .async_commits = settings.limits.async_commits,
          .check_lock_timeout = std::min(settings.limits.lock_timeout, k_longest_check_wait)};
}

}  // namespace

StageTimer::StageTimer(Context& context, std::string stage)
    : m_context(context), m_stage(std::move(stage)), m_begin(context.clock.now()), m_began(context.clock.wall()) {}

StageTimer::~StageTimer() {
  m_context.report.stages.push_back({.stage = m_stage, .duration = m_context.clock.now() - m_begin, .began = m_began});
}

Session::Session(Context& context, Use use, const std::string& expected_history) {
  const StageTimer timer(context, "connect");
  const util::SteadyTime begin = context.clock.now();
  const config::Settings& settings = context.settings;
  std::optional<config::DatabaseAddress> last;
  const auto read_address = [&] {
    config::DatabaseAddress address = config::read_database_address(settings.database, context.environment);
    if (!last) {
      tell_notes(context, address);
    }
    last = std::move(address);
    return to_address(context, *last, use);
  };
  const pg::ConnectRequest request{
      .read_address = read_address,
      .source_may_change = settings.database && settings.database->kind == config::DatabaseSource::Kind::file,
      .limits = {.wait = connect_wait(settings), .attempt = settings.connect_timeout, .auth_wait = settings.auth_wait},
      .deadline = context.deadline};
  m_connection = std::make_unique<pg::Connection>(pg::connect(request, context.clock, context.observer));
  m_connection->set_deadline(context.deadline);
  pg::DatabaseSettings database = database_settings(context, last->search_path_schema);
  database.expected_history = expected_history;
  m_database = std::make_unique<pg::Database>(*m_connection, std::move(database), context.clock, context.observer);
  m_snapshot = m_database->read();
  context.report.database = m_snapshot.server.database;
  context.observer.on(core::Connected{.target = m_connection->target(),
                                      .database = m_snapshot.server.database,
                                      .user = m_snapshot.server.user,
                                      .server_version = m_snapshot.server.version,
                                      .duration = context.clock.now() - begin});
  require_usable(context, m_snapshot.server, use);
}

/// A server that cannot be reached any more after the run had begun is a lost connection (33), not an absent server
/// (30).
/// During a fail-over the name may lead to a standby for a while: that is waited for like a server that is away.
std::unique_ptr<Session> reconnect(Context& context) {
  const auto limit =
      util::Deadline::earlier(util::Deadline::after(context.clock, context.settings.connect_wait), context.deadline);
  for (;;) {
    try {
      auto session = std::make_unique<Session>(context, Session::Use::write);
      session->database().assume_unsettled();
      return session;
    } catch (const Error& error) {
      const bool not_primary = error.info().outcome == Outcome::unsupported_server;
      const bool lost_again = error.info().outcome == Outcome::connection_lost;
      if (error.info().outcome != Outcome::unreachable && !not_primary && !lost_again) {
        throw;
      }
      if ((not_primary || lost_again) && !limit.passed(context.clock)) {
        context.observer.on(core::Note{.level = core::Level::warning, .message = error.info().message + "; waiting"});
        context.clock.sleep(limit.cap(context.clock, k_standby_poll));
        continue;
      }
      util::ErrorInfo info = error.info();
      info.outcome = Outcome::connection_lost;
      info.message = "the connection was lost during the run, and there is no new one: " + info.message;
      info.hint = "The server rolls back what was not committed. Run again: the history says how far it got.";
      throw Error(std::move(info));
    }
  }
}

void report_arrived(Context& context, const core::Migration& migration, const std::string& direction,
                    std::size_t statements) {
  core::AppliedStep step{
      .version = migration.version.str(), .name = migration.name, .direction = direction, .statements = statements};
  if (context.report.failed && context.report.failed->version == step.version) {
    step = *std::exchange(context.report.failed, std::nullopt);
  }
  context.report.applied.push_back(std::move(step));
}

void tell_lost(Context& context, const util::Error& error) {
  context.observer.on(core::Note{.level = core::Level::warning,
                                 .message = error.info().message + "; connecting again to see how far it got"});
}

core::Run make_run(Context& context, Session& session) {
  return {.database = session.database(),
          .observer = context.observer,
          .clock = context.clock,
          .limits = context.settings.limits,
          .deadline = context.deadline,
          .report = context.report};
}

std::vector<core::Migration> scan_files(Context& context) {
  std::vector<core::Migration> files = files::scan(context.settings.migrations);
  context.report.known = files.size();
  return files;
}

void parse_all(std::vector<core::Migration>& files) {
  std::vector<core::Migration*> all;
  all.reserve(files.size());
  for (core::Migration& migration : files) {
    all.push_back(&migration);
  }
  files::parse(all);
}

core::Plan plan_run(Context& context, std::vector<core::Migration>& files, const core::History& history) {
  const StageTimer timer(context, "plan");
  core::Plan plan = core::make_plan(files, history, context.settings.policy);
  std::vector<core::Migration*> pending;
  pending.reserve(plan.steps.size());
  for (const core::Step& step : plan.steps) {
    pending.push_back(step.migration);
  }
  files::parse(pending);
  core::select_phase(plan, context.settings.policy.phase);
  core::check_resume(plan);

  core::Report& report = context.report;
  if (!report.version_from) {
    report.version_from = plan.newest.str();
  }
  report.version_to = plan.newest.str();
  report.pending = plan.steps.size() + plan.out_of_order;
  report.ahead = plan.ahead;
  report.half_done = plan.half_done;
  report.checksum_mismatches = plan.checksum_mismatches;
  context.observer.on(core::PlanMade{.known = plan.known,
                                     .applied = plan.applied,
                                     .pending = *report.pending,
                                     .ahead = plan.ahead,
                                     .version = plan.newest.str()});
  return plan;
}

void require_session(const Context& context, Session& session, const core::Migration& migration,
                     const core::Script& script) {
  if (!is_transaction_pooled(context, session.snapshot().server)) {
    return;
  }
  for (const core::Statement& statement : script.statements) {
    const util::SourcePosition where{.file = script.path, .line = statement.line, .column = statement.column};
    if (!statement.in_transaction) {
      throw_needs_session(fmt::format("{} cannot run in a transaction", statement.kind), where);
    }
    if (!statement.session_effect.empty()) {
      throw_needs_session(fmt::format("{} would stay behind in a session that others use next (SET LOCAL and its like "
                                      "end with the transaction)",
                                      statement.session_effect),
                          where);
    }
  }
  if (!migration.transactional) {
    throw_needs_session(fmt::format("{} runs without a transaction (transaction: none)", migration.id()),
                        util::SourcePosition{.file = script.path});
  }
}

void throw_findings(Context& context, const core::Plan& plan) {
  std::vector<ErrorInfo> errors;
  for (const core::Finding& finding : plan.findings) {
    if (finding.is_error) {
      errors.push_back(finding.info);
    } else {
      context.observer.on(core::Note{.level = core::Level::warning, .message = to_string(finding.info)});
    }
  }
  if (!errors.empty()) {
    throw_all(errors);
  }
}

void throw_all(const std::vector<ErrorInfo>& errors) {
  ErrorInfo first = errors.front();
  for (std::size_t i = 1; i < errors.size(); ++i) {
    ErrorInfo other = errors[i];
    other.hint.clear();
    first.detail += (first.detail.empty() ? "" : "\n") + ("also: " + to_string(other));
  }
  throw Error(std::move(first));
}

void refuse_if_forbidden(const Context& context) {
  const auto& rules = context.settings.environment_rules;
  if (!rules) {
    return;
  }
  for (const std::string& command : rules->forbid) {
    if (command == context.settings.command) {
      throw Error(Outcome::policy, fmt::format("the environment {} forbids `{}`", rules->name, command),
                  fmt::format("It stands under `forbid` in {}.", context.settings.config_file));
    }
  }
}

void confirm(Context& context, const std::string& question) {
  if (context.settings.yes || !context.interactive) {
    return;
  }
  tell(question + " [y/N] ");
  std::string answer;
  for (char c = 0; ::read(STDIN_FILENO, &c, 1) == 1 && c != '\n';) {  // interrupted by a signal: no answer, so no
    answer += c;
  }
  util::throw_if_interrupted();
  if (answer != "y" && answer != "Y" && answer != "yes") {
    throw Error(Outcome::policy, "the answer was no; nothing was changed");
  }
}

std::string where(const Context& context, Session& session) {
  std::string text = fmt::format("database {} ({})", session.snapshot().server.database, session.connection().target());
  if (!context.settings.environment.empty()) {
    text += fmt::format(" of environment {}", context.settings.environment);
  }
  return text;
}

void tell(const std::string& text) {
  static_cast<void>(std::fputs(text.c_str(), stderr));
  static_cast<void>(std::fflush(stderr));
}

void print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    throw Error(Outcome::internal, "cannot write to standard output");
  }
}

}  // namespace lockkeeper::app
