/// \file
/// SIGINT and SIGTERM as something one can poll for. Works as PID 1, where unhandled signals are ignored.
#pragma once

#include <optional>

namespace lockkeeper::util {

/// Installs the handlers (SIGPIPE is ignored). Call once, in main. A second signal of either kind ends the process at
/// once with 128 + its number.
void install_interrupt_handlers();
/// Readable as soon as a signal has arrived; -1 when the handlers are not installed.
int interrupt_fd();
/// SIGINT or SIGTERM when one has arrived.
std::optional<int> pending_interrupt();
/// \throws Error{interrupted|terminated} when a signal has arrived.
void throw_if_interrupted();

}  // namespace lockkeeper::util
