/// \file
/// Words and pictures for what a statement waits for and how far it is: the same words in the log and on a terminal.
///
/// Nothing here is cleaned: names, states and queries are as the server said them. Only progress_line() is safe to
/// show.
#pragma once

#include <cstddef>
#include <cstdio>
#include <string>

#include "core/events.hpp"

namespace lockkeeper::observe {

/// "waiting for a lock for 1.50 s: pid 4711 (reports); 3 sessions wait behind this migration"
std::string blocked_text(const core::StepBlocked& event);
/// What makes two of them the same, although time has passed: whom we wait for, and whether somebody waits for us.
std::string blocked_key(const core::StepBlocked& event);
/// "; blocked by pid 4711 (reports); 3 sessions waited behind it", or empty.
std::string retry_text(const core::StepRetry& event);

/// "42_add_index waited for 2 sessions, and held up 3 sessions, for 1.50 s without a break"
std::string waits_text(const core::WaitsSeen& event);

/// "statement 2 of 3 of 42_add_index, CREATE INDEX, has been running for 42 s: building index, 61 %, about 27 s left"
std::string progress_text(const core::StepProgress& event);
/// The statement that it is about.
std::string progress_key(const core::StepProgress& event);
/// "  ▕██████░░░░▏ 61 % building index: scanning table · 00:42 · about 27 s left", safe to show and at most \p columns
/// wide: the words in the middle are cut first.
std::string progress_line(const core::StepProgress& event, std::size_t columns, bool colour);
/// In whole percent, rounded down: 100 is said when it is done.
int percent(double fraction);

/// Width of the terminal behind \p out; 80 when it is none.
std::size_t terminal_columns(std::FILE* out);

}  // namespace lockkeeper::observe
