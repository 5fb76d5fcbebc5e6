/// \file
/// What a person at a terminal sees: marks, colours, one line per migration, tables, durations.
///
/// Everything that came from outside (server messages, names, the lock holder's application_name) is shown without
/// control characters, so that it cannot steer the terminal. Not for: logs (log.hpp); the plan and the question before
/// `up` (app/ prints them).
#pragma once

#include <chrono>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/events.hpp"
#include "observe/repeat.hpp"
#include "util/clock.hpp"
#include "util/error.hpp"

namespace lockkeeper::observe {

/// "850 µs", "12 ms", "1.24 s", "2 min 03 s", "1 h 05 min"
std::string human(std::chrono::steady_clock::duration duration);
/// \p text as one line that is safe to show: control characters become spaces, invalid UTF-8 becomes U+FFFD.
std::string printable(std::string_view text);
/// The same, but line feeds stay.
std::string printable_lines(std::string_view text);
/// Columns that \p text takes on a terminal: combining characters take none, East Asian wide ones and emoji two.
std::size_t display_width(std::string_view text);
/// The beginning of \p text (which is printable) in at most \p columns, with "…" at its end when something was cut.
std::string fit(std::string_view text, std::size_t columns);
/// "1 migration", "3 migrations"
std::string counted(std::size_t count, std::string_view noun);

enum class Colour { none, bold, dim, red, green, yellow, cyan };
/// \p text between ANSI sequences; \p text itself when \p on is false or the colour is none.
std::string paint(std::string_view text, Colour colour, bool on);

/// util::to_string(info) for a terminal, with "hint:" and the caret set off. Several lines, no trailing newline.
std::string render_error(const util::ErrorInfo& info, bool colour);

struct Cell {
  std::string text;
  Colour colour = Colour::none;

  Cell() = default;
  // Implicit on purpose: rows are written as {"version", "name"}.
  Cell(std::string cell_text, Colour cell_colour = Colour::none) : text(std::move(cell_text)), colour(cell_colour) {}
  Cell(const char* cell_text, Colour cell_colour = Colour::none) : text(cell_text), colour(cell_colour) {}
};
using Row = std::vector<Cell>;

enum class Align { left, right };
struct TableOptions {
  bool colour = false;
  std::vector<Align> align;      ///< per column; columns beyond its end are left-aligned
  std::string indent;            ///< before every line
  std::string separator = "  ";  ///< between columns
};
/// \p rows as a table; the first row is the header (bold when coloured). Rows may be of different lengths. Each line
/// ends with a line feed and has no spaces before it.
std::string render_table(const std::vector<Row>& rows, const TableOptions& options = {});
std::string render_table(const std::vector<std::vector<std::string>>& rows, const TableOptions& options = {});

struct TerminalOptions {
  bool colour = false;  ///< the caller decides: isatty and no NO_COLOR
  /// \p out is a terminal: the running migration and the progress of its statements are shown on a line that is drawn
  /// again and again, and replaced by the result. Otherwise progress is a line of its own every ten seconds.
  bool interactive = false;
  bool verbose = false;  ///< statements and debug notes too
};

/// Shows the run's error too (once, also when a step reported it before); the caller need not print it again.
/// \p clock and \p out must outlive the observer.
class TerminalObserver final : public core::Observer {
 public:
  TerminalObserver(const util::Clock& clock, TerminalOptions options, std::FILE* out = stderr);

  void on(const core::Event& event) override;

 private:
  void show(const core::RunStarted& event);
  void show(const core::Note& event);
  void show(const core::ConnectRetry& event);
  void show(const core::Connected& event);
  void show(const core::PlanMade& event);
  void show(const core::LockWaiting& event);
  void show(const core::LockAcquired& event);
  void show(const core::StepStarted& event);
  void show(const core::StatementFinished& event);
  void show(const core::StepBlocked& event);
  void show(const core::StepProgress& event);
  void show(const core::StepRetry& event);
  void show(const core::WaitsSeen& event);
  void show(const core::IndexRepaired& event);
  void show(const core::StepFinished& event);
  void show(const core::StepFailed& event);
  void show(const core::RunFinished& event);

  void line(const std::string& text);
  void running(const std::string& text);
  void clear_running();
  void write(const std::string& text);
  [[nodiscard]] std::string mark(std::string_view sign, Colour colour) const;
  [[nodiscard]] std::string step(const std::string& version, const std::string& name);

  const util::Clock& m_clock;
  TerminalOptions m_options;
  std::FILE* m_out;

  std::string m_url_source;
  std::size_t m_name_width = 24;
  std::string m_running;  ///< the unfinished line that is on the screen
  Repeat m_retries;
  Repeat m_waits;
  Repeat m_blocked;
  Repeat m_progress;
  std::optional<std::size_t> m_pending_shown;
  std::string m_error_shown;
};

}  // namespace lockkeeper::observe
