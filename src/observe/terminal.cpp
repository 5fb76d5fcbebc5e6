#include "observe/terminal.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include <fmt/format.h>

#include "observe/progress.hpp"
#include "observe/termination.hpp"

namespace lockkeeper::observe {

namespace {

constexpr std::string_view k_done = "✓";
constexpr std::string_view k_failed = "✗";
constexpr std::string_view k_waiting = "…";
constexpr std::string_view k_clear_line = "\r\x1b[K";
constexpr std::string_view k_replacement = "\xEF\xBF\xBD";  // U+FFFD

struct Character {
  char32_t code = 0;
  std::size_t bytes = 1;
  bool valid = false;
};

/// Length of the sequence that \p lead starts and the bits of the code point in it; length 0: cannot start one.
std::pair<std::size_t, char32_t> lead_byte(unsigned char lead) {
  if (lead < 0x80) {
    return {1, lead};
  }
  if (lead >= 0xC2 && lead < 0xE0) {
    return {2, lead & 0x1FU};
  }
  if (lead >= 0xE0 && lead < 0xF0) {
    return {3, lead & 0x0FU};
  }
  if (lead >= 0xF0 && lead < 0xF5) {
    return {4, lead & 0x07U};
  }
  return {0, 0};
}

bool is_scalar(char32_t code, std::size_t bytes) {
  constexpr std::array<char32_t, 5> k_smallest = {0, 0, 0x80, 0x800, 0x10000};
  return code >= k_smallest.at(bytes) && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
}

/// The first character of \p text, which is not empty. An invalid byte counts as a character of its own.
Character first_character(std::string_view text) {
  auto [bytes, code] = lead_byte(static_cast<unsigned char>(text[0]));
  if (bytes == 0 || bytes > text.size()) {
    return {};
  }
  for (std::size_t i = 1; i < bytes; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xC0U) != 0x80U) {
      return {};
    }
    code = (code << 6U) | (byte & 0x3FU);
  }
  return is_scalar(code, bytes) ? Character{code, bytes, true} : Character{};
}

/// C0, DEL and C1; also the bidirectional controls, which can make a line read as another one.
bool is_control(char32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || (code >= 0x202A && code <= 0x202E) ||
         (code >= 0x2066 && code <= 0x2069) || code == 0x2028 || code == 0x2029;
}

std::string make_printable(std::string_view text, bool keep_line_feeds) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Character character = first_character(text);
    if (!character.valid) {
      out += k_replacement;
    } else if (is_control(character.code) && !(keep_line_feeds && character.code == '\n')) {
      out += ' ';
    } else {
      out += text.substr(0, character.bytes);
    }
    text.remove_prefix(character.bytes);
  }
  return out;
}

struct Range {
  char32_t first;
  char32_t last;
};

template <std::size_t N>
bool in_ranges(char32_t code, const std::array<Range, N>& ranges) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [code](const Range& range) { return code >= range.first && code <= range.last; });
}

/// The common part of Unicode's East Asian Width W and F, and of the marks that combine. wcwidth() would depend on the
/// locale, and a container has none. Source: https://www.unicode.org/reports/tr11/
std::size_t character_width(char32_t code) {
  constexpr std::array<Range, 7> k_zero = {{{0x0300, 0x036F},
                                            {0x0483, 0x0489},
                                            {0x1AB0, 0x1AFF},
                                            {0x200B, 0x200F},
                                            {0x20D0, 0x20FF},
                                            {0xFE00, 0xFE0F},
                                            {0xFEFF, 0xFEFF}}};
  constexpr std::array<Range, 12> k_wide = {{{0x1100, 0x115F},
                                             {0x2E80, 0x303E},
                                             {0x3041, 0x33FF},
                                             {0x3400, 0x4DBF},
                                             {0x4E00, 0x9FFF},
                                             {0xA000, 0xA4CF},
                                             {0xAC00, 0xD7A3},
                                             {0xF900, 0xFAFF},
                                             {0xFE30, 0xFE6F},
                                             {0xFF00, 0xFF60},
                                             {0x1F300, 0x1FAFF},
                                             {0x20000, 0x3FFFD}}};
  if (in_ranges(code, k_zero)) {
    return 0;
  }
  return in_ranges(code, k_wide) ? 2 : 1;
}

std::string_view sequence(Colour colour) {
  switch (colour) {
    case Colour::none: return "";
    case Colour::bold: return "\x1b[1m";
    case Colour::dim: return "\x1b[2m";
    case Colour::red: return "\x1b[31m";
    case Colour::green: return "\x1b[32m";
    case Colour::yellow: return "\x1b[33m";
    case Colour::cyan: return "\x1b[36m";
  }
  return "";
}

std::vector<std::size_t> column_widths(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], display_width(printable(row[i].text)));
    }
  }
  return widths;
}

/// One row without its line feed. Padding that would be at the end of the line is kept back.
std::string render_row(const Row& row, const std::vector<std::size_t>& widths, const TableOptions& options,
                       bool header) {
  std::string line;
  std::string padding = options.indent;
  for (std::size_t i = 0; i < row.size(); ++i) {
    const std::string text = printable(row[i].text);
    const std::string fill(widths[i] - display_width(text), ' ');
    const bool right = i < options.align.size() && options.align[i] == Align::right;
    padding += right ? fill : "";
    if (!text.empty()) {
      line += padding + paint(text, header ? Colour::bold : row[i].colour, options.colour);
      padding.clear();
    }
    padding += (right ? "" : fill) + options.separator;
  }
  return line;
}

std::string shown(const std::string& text) {
  return printable(text);
}

std::string painted_lines(const std::string& text, bool colour) {
  constexpr std::string_view k_hint = "hint:";
  std::string out;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    if (begin > 0) {
      out += '\n';
    }
    if (line.starts_with(k_hint)) {
      out += paint(k_hint, Colour::cyan, colour) + line.substr(k_hint.size());
    } else if (begin == 0) {
      out += paint(line, Colour::bold, colour);
    } else {
      out += line;
    }
    begin = end + 1;
  }
  return out;
}

bool failed(const core::Report& report) {
  const util::RetryClass retry = util::exit_code(report.outcome).retry;
  return retry == util::RetryClass::fatal || retry == util::RetryClass::retryable;
}

}  // namespace

std::string human(std::chrono::steady_clock::duration duration) {
  const double seconds = util::to_seconds(std::max(duration, std::chrono::steady_clock::duration::zero()));
  // Each limit is where the unit below would be rounded up to the next one.
  if (seconds < 0.0009995) {
    return fmt::format("{:.0f} µs", seconds * 1e6);
  }
  if (seconds < 0.9995) {
    return fmt::format("{:.0f} ms", seconds * 1e3);
  }
  if (seconds < 59.995) {
    return fmt::format("{:.2f} s", seconds);
  }
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  if (whole < 3600) {
    return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  }
  return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
}

std::string printable(std::string_view text) {
  return make_printable(text, false);
}

std::string printable_lines(std::string_view text) {
  return make_printable(text, true);
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const Character character = first_character(text);
    width += character.valid ? character_width(character.code) : 1;
    text.remove_prefix(character.bytes);
  }
  return width;
}

std::string fit(std::string_view text, std::size_t columns) {
  if (display_width(text) <= columns) {
    return std::string(text);
  }
  std::size_t width = 1;  // of the dots
  std::size_t end = 0;
  while (end < text.size()) {
    const Character character = first_character(text.substr(end));
    width += character.valid ? character_width(character.code) : 1;
    if (width > columns) {
      break;
    }
    end += character.bytes;
  }
  return columns == 0 ? std::string() : std::string(text.substr(0, end)).append(k_waiting);
}

std::string counted(std::size_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string paint(std::string_view text, Colour colour, bool on) {
  if (!on || colour == Colour::none || text.empty()) {
    return std::string(text);
  }
  return fmt::format("{}{}\x1b[0m", sequence(colour), text);
}

std::string render_error(const util::ErrorInfo& info, bool colour) {
  return paint("error: ", Colour::red, colour) + painted_lines(printable_lines(util::to_string(info)), colour);
}

std::string render_table(const std::vector<Row>& rows, const TableOptions& options) {
  const std::vector<std::size_t> widths = column_widths(rows);
  std::string table;
  bool header = true;
  for (const Row& row : rows) {
    table += render_row(row, widths, options, header) + "\n";
    header = false;
  }
  return table;
}

std::string render_table(const std::vector<std::vector<std::string>>& rows, const TableOptions& options) {
  std::vector<Row> cells;
  cells.reserve(rows.size());
  for (const std::vector<std::string>& row : rows) {
    cells.emplace_back(row.begin(), row.end());
  }
  return render_table(cells, options);
}

TerminalObserver::TerminalObserver(const util::Clock& clock, TerminalOptions options, std::FILE* out)
    : m_clock(clock), m_options(options), m_out(out) {}

void TerminalObserver::on(const core::Event& event) {
  std::visit([this](const auto& which) { show(which); }, event);
}

void TerminalObserver::show(const core::RunStarted& event) {
  m_url_source = event.url_source;
  if (m_options.verbose) {
    line(paint(shown(fmt::format("lockkeeper {} {}{}", event.tool_version, event.command,
                                 event.environment.empty() ? "" : ", environment " + event.environment)),
               Colour::dim, m_options.colour));
  }
}

void TerminalObserver::show(const core::Note& event) {
  if (event.level == core::Level::debug && !m_options.verbose) {
    return;
  }
  const std::string text = shown(event.message);
  switch (event.level) {
    case core::Level::debug:
    case core::Level::info: line(paint(text, Colour::dim, m_options.colour)); break;
    case core::Level::warning: line(paint("warning: ", Colour::yellow, m_options.colour) + text); break;
    case core::Level::error: line(paint("error: ", Colour::red, m_options.colour) + text); break;
  }
}

void TerminalObserver::show(const core::ConnectRetry& event) {
  const std::string text = fmt::format("no connection to {}: {}", event.target, event.reason);
  if (m_retries.due(text, m_clock.now())) {
    line(mark(k_waiting, Colour::yellow) + shown(text) + "; next attempt in " + human(event.wait));
  }
}

void TerminalObserver::show(const core::Connected& event) {
  std::string text = fmt::format("connected to database {} at {} as {} (PostgreSQL {})", event.database, event.target,
                                 event.user, event.server_version);
  if (!m_url_source.empty()) {
    text += ", from " + m_url_source;
  }
  line(paint(shown(text), Colour::dim, m_options.colour));
}

void TerminalObserver::show(const core::PlanMade& event) {
  // The plan is made again under the lock; most of the time it is the same.
  if (m_pending_shown == event.pending) {
    return;
  }
  m_pending_shown = event.pending;
  if (event.pending > 0) {
    line(counted(event.pending, "migration") + " pending");
  }
}

void TerminalObserver::show(const core::LockWaiting& event) {
  const std::string holder = event.holder ? core::to_string(*event.holder) : std::string();
  if (!m_waits.due(holder, m_clock.now())) {
    return;
  }
  line(mark(k_waiting, Colour::yellow) + fmt::format("waiting for the lock, {}; {} of {}",
                                                     holder.empty() ? "just released" : "held by " + shown(holder),
                                                     human(event.waited), human(event.limit)));
}

void TerminalObserver::show(const core::LockAcquired& event) {
  if (m_waits.told_any() || m_options.verbose) {
    line(mark(k_done, Colour::green) + "got the lock after " + human(event.waited));
  }
}

void TerminalObserver::show(const core::StepStarted& event) {
  if (event.first_statement > 0) {
    line(fmt::format("resuming {} at statement {} of {}", shown(event.version), event.first_statement + 1,
                     event.statements));
  }
  if (m_options.interactive) {
    const std::string mark_of_it = mark(k_waiting, Colour::yellow);
    const std::size_t columns = terminal_columns(m_out) - display_width(mark(k_waiting, Colour::none)) - 1;
    running(mark_of_it + fit(step(event.version, event.name), columns));
  }
}

void TerminalObserver::show(const core::StatementFinished& event) {
  if (m_options.verbose) {
    line(paint(fmt::format("    {}/{}  {}", event.index + 1, event.total, shown(event.text)), Colour::dim,
               m_options.colour));
  }
}

void TerminalObserver::show(const core::StepBlocked& event) {
  if (m_blocked.due(blocked_key(event), m_clock.now())) {
    const std::string before = m_running;
    line(mark(k_waiting, Colour::yellow) + paint(shown(blocked_text(event)), Colour::yellow, m_options.colour));
    running(before);
  }
}

void TerminalObserver::show(const core::StepProgress& event) {
  if (m_options.interactive) {
    // One column stays free: a terminal that is full to its edge may wrap.
    running(progress_line(event, terminal_columns(m_out) - 1, m_options.colour));
  } else if (m_progress.due(progress_key(event), m_clock.now())) {
    line(mark(k_waiting, Colour::yellow) + shown(progress_text(event)));
  }
}

void TerminalObserver::show(const core::StepRetry& event) {
  line(mark(k_waiting, Colour::yellow) + step(event.version, event.name) + "   " +
       fmt::format("{}; attempt {} failed, next in {}{}", shown(event.reason), event.attempt, human(event.wait),
                   shown(retry_text(event))));
}

void TerminalObserver::show(const core::WaitsSeen& event) {
  if (m_options.verbose) {
    line(paint("    " + shown(waits_text(event)), Colour::dim, m_options.colour));
  }
}

void TerminalObserver::show(const core::IndexRepaired& event) {
  line(paint("warning: ", Colour::yellow, m_options.colour) + shown(event.message));
}

void TerminalObserver::show(const core::StepFinished& event) {
  line(mark(k_done, Colour::green) + step(event.step.version, event.step.name) + "   " + human(event.step.duration));
}

void TerminalObserver::show(const core::StepFailed& event) {
  line(mark(k_failed, Colour::red) + step(event.version, event.name));
  m_error_shown = util::to_string(event.error);
  line(render_error(event.error, m_options.colour));
}

void TerminalObserver::show(const core::RunFinished& event) {
  const core::Report& report = event.report;
  if (report.error && util::to_string(*report.error) != m_error_shown) {
    line(render_error(*report.error, m_options.colour));
  }
  line(paint(shown(headline(report)), failed(report) ? Colour::red : Colour::bold, m_options.colour));
}

void TerminalObserver::line(const std::string& text) {
  clear_running();
  write(text.substr(0, text.find_last_not_of(' ') + 1) + "\n");
}

/// Draws the line that stays unfinished; nothing when \p text is empty.
void TerminalObserver::running(const std::string& text) {
  if (text != m_running) {
    const std::string clear = m_running.empty() ? "" : std::string(k_clear_line);
    m_running = text;
    write(clear + text);
  }
}

void TerminalObserver::clear_running() {
  running({});
}

void TerminalObserver::write(const std::string& text) {
  static_cast<void>(std::fwrite(text.data(), 1, text.size(), m_out));
  static_cast<void>(std::fflush(m_out));
}

std::string TerminalObserver::mark(std::string_view sign, Colour colour) const {
  return "  " + paint(sign, colour, m_options.colour) + " ";
}

std::string TerminalObserver::step(const std::string& version, const std::string& name) {
  const std::string clean = shown(name);
  m_name_width = std::max(m_name_width, display_width(clean));
  return fmt::format("{}  {}{}", shown(version), clean, std::string(m_name_width - display_width(clean), ' '));
}

}  // namespace lockkeeper::observe
