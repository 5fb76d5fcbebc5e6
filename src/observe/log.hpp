/// \file
/// The log: one record per event and per line, JSON for machines or plain text without colours.
///
/// Field names are stable and documented in docs/logs.md. The last record of a run (event run_finished) carries the
/// same fields as the termination message. Not for: what a person watches on a terminal (terminal.hpp), the output of
/// commands (that goes to stdout).
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "core/events.hpp"
#include "observe/repeat.hpp"
#include "util/clock.hpp"

namespace lockkeeper::observe {

enum class LogStyle { text, json };

/// Stands in every JSON record, so that log and trace lead to each other. Empty = not traced.
/// https://opentelemetry.io/docs/specs/otel/logs/data-model/#trace-context-fields
struct LogTrace {
  std::string trace_id;  ///< 32 hex digits
  std::string span_id;   ///< of the run: 16 hex digits
};

/// "debug", "info", "warn", "error"
std::string_view level_name(core::Level level);
/// How important an event is; for RunFinished error when the run failed, warning when the answer is "no" (3, 4).
core::Level level(const core::Event& event);
/// The stable name: "step_finished".
std::string_view event_name(const core::Event& event);
/// One line for people, the same in both styles: "applied 20250520000000_calendly_integration in 12 ms".
std::string message(const core::Event& event);
/// The event's own fields, in a stable order, without ts, level, event and msg.
nlohmann::ordered_json fields(const core::Event& event);
/// "2026-11-22T14:00:00.123Z"
std::string rfc3339(util::WallTime time);

/// Writes to \p out, one write per record, flushed; \p out is not closed. What cannot be written is lost in silence:
/// a full disk or a closed pipe must not stop a migration. \p clock and \p out must outlive the observer.
class LogObserver final : public core::Observer {
 public:
  /// Events below \p minimum are left out; statements are at debug level. An attempt to connect that ends like the
  /// one before, and a wait for the same sessions, are told every ten seconds only, but at debug level; the progress of
  /// a statement at any level.
  LogObserver(const util::Clock& clock, LogStyle style, core::Level minimum = core::Level::info,
              std::FILE* out = stderr, LogTrace trace = {});

  void on(const core::Event& event) override;

 private:
  [[nodiscard]] bool due(const core::Event& event);

  const util::Clock& m_clock;
  LogStyle m_style;
  core::Level m_minimum;
  std::FILE* m_out;
  LogTrace m_trace;
  Repeat m_retries;
  Repeat m_blocked;
  Repeat m_progress;
};

}  // namespace lockkeeper::observe
