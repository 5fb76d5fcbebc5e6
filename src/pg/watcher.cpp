#include "pg/watcher.hpp"

#include <algorithm>
#include <cstdlib>
#include <span>
#include <utility>

#include <poll.h>

#include <fmt/format.h>

#include "pg/comment.hpp"
#include "util/duration.hpp"
#include "util/text.hpp"

namespace lockkeeper::pg {

namespace {

using core::Blocker;
using util::Duration;

constexpr Duration k_shortest_start{20};  // a statement that is done by then is not worth a connection
constexpr Duration k_longest_start{200};
constexpr Duration k_sample_every{250};
constexpr Duration k_link_limit = std::chrono::seconds(5);  // to connect, or to answer
constexpr Duration k_connect_again = std::chrono::seconds(10);
constexpr Duration k_crowded_for = std::chrono::seconds(1);
constexpr Duration k_tell_blocked_every = std::chrono::seconds(10);
constexpr Duration k_long_statement = std::chrono::seconds(2);
constexpr Duration k_table_limit_slack{250};  // a look, or so
constexpr double k_enough_for_estimate = 0.02;
constexpr std::size_t k_query_shown = 120;

std::string text_of(const PGresult* answer, int row, int column) {
  return PQgetvalue(answer, row, column);
}

std::optional<std::string> optional_text(const PGresult* answer, int row, int column) {
  return PQgetisnull(answer, row, column) != 0 ? std::nullopt : std::optional(text_of(answer, row, column));
}

long long number_of(const PGresult* answer, int row, int column) {
  return std::strtoll(PQgetvalue(answer, row, column), nullptr, 10);
}

std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const bool blank = c == ' ' || static_cast<unsigned char>(c) < 0x20;
    if (!blank) {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  return line;
}

bool mentions_password(std::string_view query) {
  constexpr std::string_view k_word = "password";
  return std::search(query.begin(), query.end(), k_word.begin(), k_word.end(),
                     [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; }) != query.end();
}

/// Of another session: a query may hold a secret of its own.
std::optional<std::string> shown_query(const std::optional<std::string>& query) {
  if (!query || query->empty() || *query == "<insufficient privilege>") {
    return std::nullopt;
  }
  if (mentions_password(*query)) {
    return "(not shown: it mentions a password)";
  }
  std::string line = one_line(util::trim(*query));
  while (!line.empty() && (line.back() == ';' || line.back() == ' ')) {
    line.pop_back();
  }
  return util::shorten(line, k_query_shown);
}

std::vector<Blocker> read_blockers(const PGresult* answer) {
  std::vector<Blocker> blockers;
  for (int row = 0; row < PQntuples(answer); ++row) {
    Blocker blocker{.pid = static_cast<int>(number_of(answer, row, 0)),
                    .application_name = text_of(answer, row, 1),
                    .backend_type = text_of(answer, row, 2),
                    .client = optional_text(answer, row, 3),
                    .user = optional_text(answer, row, 4),
                    .state = optional_text(answer, row, 5),
                    .transaction_age = std::nullopt,
                    .query = shown_query(optional_text(answer, row, 7))};
    if (PQgetisnull(answer, row, 6) == 0) {
      blocker.transaction_age = std::chrono::seconds(number_of(answer, row, 6));
    }
    if (blocker.pid == 0) {
      blocker.backend_type = "prepared transaction";
    }
    blockers.push_back(std::move(blocker));
  }
  return blockers;
}

std::vector<int> pids_of(const std::vector<Blocker>& blockers) {
  std::vector<int> pids;
  pids.reserve(blockers.size());
  for (const Blocker& blocker : blockers) {
    pids.push_back(blocker.pid);
  }
  return pids;
}

/// pg_stat_activity.query is cut at track_activity_query_size, and a character may be cut in half there. Our comment
/// follows the statement.
bool is_statement(std::string_view query, std::string_view statement) {
  constexpr std::size_t k_always_kept = 90;  // the least that the setting can be, with something to spare
  if (query.size() > statement.size()) {
    const std::string_view rest = query.substr(statement.size());
    return query.starts_with(statement) && (rest.starts_with(k_comment_begin) || k_comment_begin.starts_with(rest));
  }
  return !query.empty() && (query == statement || (query.size() >= k_always_kept && statement.starts_with(query)));
}

/// What is running, and what it waits for; whom; who waits for it; how far it is. One request, four answers.
/// {0}: the backend's pid. {1}: the most sessions that are looked at. Our own snapshot is none of the blockers, though
/// a CREATE INDEX CONCURRENTLY may wait for it for a moment.
constexpr std::string_view k_question = R"(
SELECT pg_catalog.left(a.query, 1000), EXISTS (SELECT 1 FROM pg_catalog.pg_locks l WHERE l.pid = {0} AND NOT l.granted
  AND l.locktype = 'relation') FROM pg_catalog.pg_stat_activity a WHERE a.pid = {0};
SELECT DISTINCT b.pid, a.application_name, a.backend_type, pg_catalog.host(a.client_addr), a.usename, a.state,
  pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - a.xact_start)::bigint, pg_catalog.left(a.query, 400)
  FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids({0})) AS b(pid)
  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid WHERE b.pid <> pg_catalog.pg_backend_pid()
  ORDER BY b.pid LIMIT 20;
SELECT pg_catalog.count(*) FROM (SELECT DISTINCT l.pid FROM pg_catalog.pg_locks l WHERE NOT l.granted AND l.pid <> {0}
  LIMIT {1}) w WHERE {0} = ANY (pg_catalog.pg_blocking_pids(w.pid));
SELECT p.phase, p.done, p.total FROM (
  SELECT phase, CASE WHEN phase LIKE 'waiting%' THEN lockers_done WHEN tuples_total > 0 THEN tuples_done
    ELSE blocks_done END AS done, CASE WHEN phase LIKE 'waiting%' THEN lockers_total WHEN tuples_total > 0 THEN
    tuples_total ELSE blocks_total END AS total FROM pg_catalog.pg_stat_progress_create_index WHERE pid = {0}
  UNION ALL SELECT phase, heap_blks_scanned, heap_blks_total FROM pg_catalog.pg_stat_progress_cluster WHERE pid = {0}
  UNION ALL SELECT phase, heap_blks_scanned, heap_blks_total FROM pg_catalog.pg_stat_progress_vacuum WHERE pid = {0}
  UNION ALL SELECT phase, sample_blks_scanned, sample_blks_total FROM pg_catalog.pg_stat_progress_analyze WHERE pid = {0}
  {2}) p LIMIT 1)";

constexpr std::string_view k_copy_progress =
    "UNION ALL SELECT 'copying', bytes_processed, bytes_total FROM pg_catalog.pg_stat_progress_copy WHERE pid = {0}";
constexpr int k_copy_progress_since = 140000;

constexpr std::size_t k_answers = 4;

bool is_template_user(const core::Statement& statement) {
  return statement.footprint && statement.footprint->kind == core::Footprint::Kind::create_database;
}

}  // namespace

Watcher::Watcher(const Connection& watched, WatchSettings settings, util::Clock& clock, core::Observer& observer)
    : m_connection(watched), m_settings(std::move(settings)), m_clock(clock), m_observer(observer) {}

Watcher::~Watcher() = default;

// ---- the statement

void Watcher::begin(const Watched& watched) {
  m_watched = watched;
  m_began = m_clock.now();
  m_seen = {};
  m_index = watched.index;
  m_judged = m_began;
  m_waiting_since.reset();
  m_last_sample.reset();
  m_table_waits = Duration::zero();
  m_crowded_since.reset();
  m_queued_since.reset();
  m_present.clear();
  m_queued = 0;
  m_progress.reset();
  m_blocked_told.reset();
  m_blocked_pids_told.clear();
  m_progress_told.reset();
  m_answer_is_stale = m_link == Link::asking;
  const Duration limit = watched.attempt->lock_timeout;
  const Duration start =
      limit == Duration::zero() ? k_longest_start : std::clamp(limit / 4, k_shortest_start, k_longest_start);
  if (watched.index && is_template_user(watched.attempt->script().statements[*watched.index])) {
    m_handle.reset();  // no other session may be in a database that is copied
    m_link = Link::none;
    m_paused = true;
    return;
  }
  m_paused = !m_settings.on;
  if (m_link == Link::none || m_link == Link::idle) {
    m_next = std::max(m_next, m_began + start);
  }
}

Sighting Watcher::end() {
  Sighting seen = std::exchange(m_seen, {});
  if (!seen.pids.empty() || seen.queued > 0) {
    const core::Migration& migration = *m_watched.attempt->migration;
    m_observer.on(core::WaitsSeen{.version = migration.version.str(),
                                  .name = migration.name,
                                  .blockers = seen.pids,
                                  .queued = seen.queued,
                                  .queued_longest = seen.queued_longest});
  }
  return seen;
}

Duration Watcher::running() const {
  return std::chrono::duration_cast<Duration>(m_clock.now() - m_began);
}

// ---- the second connection

Companion::Wish Watcher::wish() const {
  Wish wish{.socket = -1, .events = 0, .wake = k_sample_every};
  if (m_link == Link::connecting || m_link == Link::asking) {
    wish.socket = PQsocket(m_handle.get());
    wish.events = m_link == Link::connecting && m_polling == PGRES_POLLING_WRITING ? POLLOUT : POLLIN;
  } else if (!m_paused && m_next > m_clock.now()) {
    wish.wake = std::min(wish.wake, std::chrono::ceil<Duration>(m_next - m_clock.now()));
  } else if (!m_paused) {
    wish.wake = Duration::zero();
  }
  return wish;
}

void Watcher::step(bool ready) {
  const bool waits = m_link == Link::connecting || m_link == Link::asking;
  if (waits && ready) {
    m_link == Link::connecting ? go_on_connecting() : take_answer();
  } else if (waits && m_clock.now() - m_link_since > k_link_limit) {
    lose_link("no answer in time");
  } else if (!waits && !m_paused && m_clock.now() >= m_next) {
    m_link == Link::none ? connect() : ask();
  }
  tell_progress();
}

void Watcher::connect() {
  m_handle = m_connection.start_sibling(m_settings.application_name);
  m_polling = PGRES_POLLING_WRITING;
  m_link = Link::connecting;
  m_link_since = m_clock.now();
  if (!m_handle || PQstatus(m_handle.get()) == CONNECTION_BAD) {
    lose_link(m_handle ? PQerrorMessage(m_handle.get()) : "out of memory");
  }
}

void Watcher::go_on_connecting() {
  m_polling = PQconnectPoll(m_handle.get());
  if (m_polling == PGRES_POLLING_OK) {
    PQsetnonblocking(m_handle.get(), 1);
    ask();
  } else if (m_polling == PGRES_POLLING_FAILED) {
    lose_link(PQerrorMessage(m_handle.get()));
  }
}

std::string Watcher::question() const {
  const std::size_t looked_at = std::max<std::size_t>(2 * m_settings.queue_limit, 100);
  const bool has_copy = PQserverVersion(m_handle.get()) >= k_copy_progress_since;
  return fmt::format(k_question, m_watched.backend_pid, looked_at,
                     has_copy ? fmt::format(k_copy_progress, m_watched.backend_pid) : "");
}

void Watcher::ask() {
  m_answers.clear();
  m_link = Link::asking;
  m_link_since = m_clock.now();
  m_answer_is_stale = false;
  if (PQsendQuery(m_handle.get(), question().c_str()) != 1 || PQflush(m_handle.get()) != 0) {
    lose_link(PQerrorMessage(m_handle.get()));
  }
}

void Watcher::take_answer() {
  if (PQconsumeInput(m_handle.get()) != 1) {
    lose_link(PQerrorMessage(m_handle.get()));
    return;
  }
  while (PQisBusy(m_handle.get()) == 0) {
    ResultHandle answer(PQgetResult(m_handle.get()));
    if (!answer) {
      m_link = Link::idle;
      m_next = m_clock.now() + k_sample_every;
      m_proved = true;
      if (!m_answer_is_stale) {
        judge(m_answers);
      }
      m_answers.clear();
      return;
    }
    if (PQresultStatus(answer.get()) != PGRES_TUPLES_OK) {
      lose_link(PQresultErrorMessage(answer.get()));
      return;
    }
    m_answers.push_back(std::move(answer));
  }
}

/// The run goes on without it; it is tried again later, in silence. One that has worked may have ended while nobody
/// asked (idle_session_timeout, a pooler's own limit): then another one at once.
void Watcher::lose_link(const std::string& reason) {
  m_queued_since.reset();  // nobody knows what happens until there is another
  m_handle.reset();
  m_answers.clear();
  m_link = Link::none;
  if (std::exchange(m_proved, false)) {
    m_next = m_clock.now();
    return;
  }
  m_next = m_clock.now() + k_connect_again;
  if (!std::exchange(m_told_lost, true)) {
    m_observer.on(core::Note{
        .level = core::Level::warning,
        .message = fmt::format("no second connection to watch what a migration waits for: {}; the run goes on without "
                               "it, and cannot name who blocks it",
                               one_line(util::trim(reason)))});
  }
}

// ---- judging

void Watcher::judge(const std::vector<ResultHandle>& answers) {
  if (answers.size() != k_answers || PQntuples(answers[0].get()) != 1) {
    return;  // the backend is gone, or hidden
  }
  const auto& statements = m_watched.attempt->script().statements;
  if (!m_watched.index) {
    const std::string query = text_of(answers[0].get(), 0, 0);
    const auto found = std::find_if(statements.begin(), statements.end(), [&](const core::Statement& statement) {
      return is_statement(query, m_watched.attempt->script().statement_text(statement));
    });
    m_index =
        found == statements.end() ? std::nullopt : std::optional(static_cast<std::size_t>(found - statements.begin()));
  }
  const bool for_table = text_of(answers[0].get(), 0, 1) == "t";
  m_present = read_blockers(answers[1].get());
  if (!m_present.empty()) {
    m_seen.blockers = m_present;
  }
  for (const int pid : pids_of(m_present)) {
    if (std::find(m_seen.pids.begin(), m_seen.pids.end(), pid) == m_seen.pids.end()) {
      m_seen.pids.push_back(pid);
    }
  }
  see_wait(for_table);
  see_queue(static_cast<std::size_t>(number_of(answers[2].get(), 0, 0)));
  see_progress(answers[3].get());
  tell_blocked();
}

/// Adds up what the attempt spends waiting for tables: the server's lock_timeout is per lock.
void Watcher::see_wait(bool for_table) {
  const util::SteadyTime now = m_clock.now();
  const util::SteadyTime before = std::exchange(m_judged, now);
  if (m_present.empty()) {
    m_waiting_since.reset();
    m_last_sample.reset();
    return;
  }
  if (!m_waiting_since) {
    m_waiting_since = before;
  }
  if (for_table && m_last_sample) {
    m_table_waits += std::chrono::duration_cast<Duration>(now - *m_last_sample);
  }
  m_last_sample = for_table ? std::optional(now) : std::nullopt;
  const Duration limit = m_watched.table_lock_limit;
  // Where the server has a lock_timeout it comes first. Where it has none, the next look would be too late.
  const Duration due = m_watched.cancel_only_before_start ? std::max(limit - k_table_limit_slack, limit / 2)
                                                          : limit + k_table_limit_slack;
  if (for_table && limit > Duration::zero() && m_table_waits >= due) {
    give_way(fmt::format("no lock within {}", util::to_string(limit)));
  }
}

void Watcher::see_queue(std::size_t queued) {
  m_queued = queued;
  m_seen.queued = std::max(m_seen.queued, queued);
  if (queued == 0) {
    m_queued_since.reset();
  } else {
    m_queued_since = m_queued_since.value_or(m_clock.now());
    m_seen.queued_longest =
        std::max(m_seen.queued_longest, std::chrono::duration_cast<Duration>(m_clock.now() - *m_queued_since));
  }
  const bool may_cancel = !m_watched.cancel_only_before_start || m_last_sample.has_value();
  if (m_settings.queue_limit == 0 || queued <= m_settings.queue_limit || !may_cancel) {
    m_crowded_since.reset();
    return;
  }
  if (!m_crowded_since) {
    m_crowded_since = m_clock.now();
  } else if (m_clock.now() - *m_crowded_since >= k_crowded_for) {
    give_way(fmt::format("{} sessions waited behind this migration (queue limit {})", queued, m_settings.queue_limit));
  }
}

void Watcher::give_way(std::string reason) {
  if (m_seen.gave_way.empty() && !m_watched.never_cancel) {
    m_seen.gave_way = std::move(reason);
  }
}

void Watcher::see_progress(const PGresult* answer) {
  if (PQntuples(answer) == 0) {
    m_progress.reset();
    return;
  }
  const std::string phase = text_of(answer, 0, 0);
  if (!m_progress || m_progress->phase != phase) {
    m_progress = Progress{.phase = phase, .fraction = std::nullopt, .phase_began = m_clock.now()};
  }
  const auto done = static_cast<double>(number_of(answer, 0, 1));
  const auto total = static_cast<double>(number_of(answer, 0, 2));
  m_progress->fraction = total > 0 ? std::optional(std::clamp(done / total, 0.0, 1.0)) : std::nullopt;
}

// ---- telling

bool Watcher::is_concurrent() const {
  const auto& statements = m_watched.attempt->script().statements;
  return m_watched.cancel_only_before_start && m_index && *m_index < statements.size();
}

void Watcher::tell_blocked() {
  const bool crowded = m_settings.queue_limit > 0 && m_queued > m_settings.queue_limit;
  if (m_present.empty() && !crowded) {
    return;
  }
  const std::vector<int> pids = pids_of(m_present);
  const util::SteadyTime now = m_clock.now();
  if (m_blocked_told && pids == m_blocked_pids_told && now - *m_blocked_told < k_tell_blocked_every) {
    return;
  }
  m_blocked_told = now;
  m_blocked_pids_told = pids;
  const core::Migration& migration = *m_watched.attempt->migration;
  m_observer.on(core::StepBlocked{
      .version = migration.version.str(),
      .name = migration.name,
      .index = m_index,
      .blockers = m_present,
      .queued = m_queued,
      .waited = m_waiting_since ? std::chrono::duration_cast<Duration>(now - *m_waiting_since) : Duration::zero(),
      .queued_longest = m_seen.queued_longest});
}

void Watcher::tell_progress() {
  const util::SteadyTime now = m_clock.now();
  const bool for_table = m_last_sample.has_value();
  const bool only_waits = !m_present.empty() && (for_table || !is_concurrent());  // tell_blocked() says so
  if (only_waits || running() < k_long_statement || (m_progress_told && now - *m_progress_told < k_sample_every)) {
    return;
  }
  m_progress_told = now;
  const core::Migration& migration = *m_watched.attempt->migration;
  const auto& statements = m_watched.attempt->script().statements;
  core::StepProgress told{.version = migration.version.str(),
                          .name = migration.name,
                          .index = m_index,
                          .total = statements.size(),
                          .kind = m_index && *m_index < statements.size() ? statements[*m_index].kind : "",
                          .running = running(),
                          .phase = {},
                          .fraction = std::nullopt,
                          .left = std::nullopt,
                          .waiting_for = {},
                          .queued = m_queued,
                          .queued_longest = m_seen.queued_longest};
  if (m_progress) {
    told.phase = m_progress->phase;
    told.fraction = m_progress->fraction;
    const auto phase_time = std::chrono::duration_cast<Duration>(now - m_progress->phase_began);
    if (told.fraction && *told.fraction >= k_enough_for_estimate && *told.fraction < 1.0) {
      const double left = static_cast<double>(phase_time.count()) * (1.0 - *told.fraction) / *told.fraction;
      told.left = Duration(static_cast<Duration::rep>(left));
    }
  }
  if (is_concurrent()) {
    told.waiting_for = m_present;
  }
  m_observer.on(told);
}

// ---- Watch

Watch::Watch(Watcher& watcher, Connection& connection, const Watched& watched)
    : m_watcher(watcher), m_connection(connection) {
  m_watcher.begin(watched);
  m_connection.accompany(&m_watcher);
}

Watch::~Watch() {
  try {
    if (!m_over) {
      end();
    }
  } catch (const std::exception&) {
    m_connection.accompany(nullptr);  // what was seen cannot be told: out of memory
  }
}

Sighting Watch::end() {
  m_over = true;
  m_connection.accompany(nullptr);
  return m_watcher.end();
}

}  // namespace lockkeeper::pg
