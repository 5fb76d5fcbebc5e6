#include "observe/progress.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

#include <sys/ioctl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "observe/terminal.hpp"

namespace lockkeeper::observe {

namespace {

constexpr std::size_t k_columns = 80;         // of an unknown terminal
constexpr std::size_t k_fewest_columns = 20;  // below that nothing can be shown
constexpr std::size_t k_bar_columns = 10;
constexpr std::size_t k_named = 3;  // blockers in one line; the log's fields have them all

std::string id(const std::string& version, const std::string& name) {
  return name.empty() ? version : version + "_" + name;
}

std::string named(const std::vector<core::Blocker>& blockers) {
  std::string text;
  for (std::size_t i = 0; i < std::min(blockers.size(), k_named); ++i) {
    text += (i == 0 ? "" : "; ") + core::to_string(blockers[i]);
  }
  return blockers.size() <= k_named ? text : fmt::format("{}; and {} more", text, blockers.size() - k_named);
}

/// "27 s", "2 min 03 s": for what is not exact.
std::string roughly(util::Duration duration) {
  const auto seconds = std::chrono::round<std::chrono::seconds>(std::max(duration, util::Duration::zero()));
  return seconds < std::chrono::minutes(1) ? fmt::format("{} s", seconds.count()) : human(seconds);
}

/// "00:42", "1:02:03"
std::string stopwatch(util::Duration duration) {
  const std::int64_t seconds = std::chrono::floor<std::chrono::seconds>(duration).count();
  const std::string minutes = fmt::format("{:02}:{:02}", seconds / 60 % 60, seconds % 60);
  return seconds < 3600 ? minutes : fmt::format("{}:{}", seconds / 3600, minutes);
}

std::string waiting_text(const core::StepProgress& event) {
  return (event.phase.empty() ? "waiting for old snapshots" : event.phase) + ": " + named(event.waiting_for);
}

std::string bar(double fraction, bool colour) {
  const auto full = static_cast<std::size_t>(percent(fraction)) * k_bar_columns / 100;
  std::string done;
  std::string left;
  for (std::size_t i = 0; i < k_bar_columns; ++i) {
    (i < full ? done : left) += i < full ? "█" : "░";
  }
  return fmt::format("▕{}{}▏", paint(done, Colour::cyan, colour), paint(left, Colour::dim, colour));
}

/// What stands in the middle when no phase is known.
std::string statement_text(const core::StepProgress& event) {
  std::string migration = id(event.version, event.name);
  if (!event.index) {
    return migration;
  }
  return fmt::format("{}, statement {} of {}: {}", migration, *event.index + 1, event.total, event.kind);
}

/// "  ▕██████░░░░▏ 61 % ", or a mark when there is nothing to measure.
std::string line_head(const core::StepProgress& event, bool with_bar, bool colour) {
  if (!with_bar || !event.fraction || !event.waiting_for.empty()) {
    return fmt::format("  {} ", paint("…", Colour::yellow, colour));
  }
  return fmt::format("  {} {} % ", bar(*event.fraction, colour), percent(*event.fraction));
}

std::string words(const core::StepProgress& event) {
  if (!event.waiting_for.empty()) {
    return waiting_text(event);
  }
  return event.phase.empty() ? statement_text(event) : event.phase;
}

}  // namespace

std::string blocked_text(const core::StepBlocked& event) {
  std::string text;
  if (!event.blockers.empty() || event.queued == 0) {
    text = "waiting for a lock";
    if (event.waited.count() > 0) {
      text += " for " + human(event.waited);
    }
    text += event.blockers.empty() ? "" : ": " + named(event.blockers);
  }
  if (event.queued > 0) {
    text += fmt::format("{}{} {} behind this migration", text.empty() ? "" : "; ", counted(event.queued, "session"),
                        event.queued == 1 ? "waits" : "wait");
  }
  return text;
}

std::string blocked_key(const core::StepBlocked& event) {
  std::string key = event.version + (event.queued > 0 ? " queue" : "");
  for (const core::Blocker& blocker : event.blockers) {
    key += fmt::format(" {} {} {};", blocker.pid, blocker.state.value_or(""), blocker.query.value_or(""));
  }
  return key;
}

std::string waits_text(const core::WaitsSeen& event) {
  std::string text =
      fmt::format("{} waited for {}", id(event.version, event.name), counted(event.blockers.size(), "session"));
  if (event.queued > 0) {
    text += fmt::format(", and held up {}, for {} without a break", counted(event.queued, "session"),
                        human(event.queued_longest));
  }
  return text;
}

std::string retry_text(const core::StepRetry& event) {
  std::string text = event.blockers.empty() ? "" : "; blocked by " + named(event.blockers);
  if (event.queued > 0) {
    text += fmt::format("; {} waited behind it", counted(event.queued, "session"));
  }
  return text;
}

std::string progress_text(const core::StepProgress& event) {
  const std::string migration = id(event.version, event.name);
  std::string text = event.index ? fmt::format("statement {} of {} of {}{}", *event.index + 1, event.total, migration,
                                               event.kind.empty() ? "" : ", " + event.kind + ",")
                                 : migration;
  text += " has been running for " + roughly(event.running);
  std::string more = !event.waiting_for.empty() ? waiting_text(event) : event.phase;
  if (event.fraction) {
    more += fmt::format("{}{} %", more.empty() ? "" : ", ", percent(*event.fraction));
  }
  if (event.left) {
    more += fmt::format("{}about {} left", more.empty() ? "" : ", ", roughly(*event.left));
  }
  return more.empty() ? text : text + ": " + more;
}

std::string progress_key(const core::StepProgress& event) {
  return event.index ? fmt::format("{} {}", event.version, *event.index) : event.version;
}

std::string progress_line(const core::StepProgress& event, std::size_t columns, bool colour) {
  constexpr std::size_t k_sensible = 12;  // columns of words that say something
  const std::string middle = printable(words(event));
  const std::string time = " · " + stopwatch(event.running);
  const std::string left = event.left ? fmt::format(" · about {} left", roughly(*event.left)) : "";
  // What can be spared goes first: the estimate, then the bar. Then the words are cut.
  for (const auto& [with_bar, tail] : {std::pair{true, time + left}, {true, time}, {false, time}}) {
    const std::size_t taken = display_width(line_head(event, with_bar, false)) + display_width(tail);
    if (taken + std::min(display_width(middle), k_sensible) <= columns) {
      return line_head(event, with_bar, colour) + fit(middle, columns - taken) + tail;
    }
  }
  return fit(line_head(event, false, false) + middle, columns);
}

int percent(double fraction) {
  return static_cast<int>(std::clamp(fraction, 0.0, 1.0) * 100.0 + 1e-9);
}

std::size_t terminal_columns(std::FILE* out) {
  winsize size{};
  const int fd = ::fileno(out);
  const bool known = fd >= 0 && ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? std::max<std::size_t>(size.ws_col, k_fewest_columns) : k_columns;
}

}  // namespace lockkeeper::observe
