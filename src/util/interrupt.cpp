#include "util/interrupt.hpp"

#include <array>
#include <atomic>
#include <cerrno>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "util/error.hpp"

namespace lockkeeper::util {

namespace {

// The handler may touch nothing but lock-free atomics and write(2): the self-pipe trick.
std::atomic<int> g_signal{0};
std::atomic<int> g_read_end{-1};
std::atomic<int> g_write_end{-1};

extern "C" void on_signal(int number) {
  const int saved_errno = errno;
  int none = 0;
  if (!g_signal.compare_exchange_strong(none, number)) {
    ::_exit(128 + number);
  }
  const char byte = 1;
  [[maybe_unused]] const auto written = ::write(g_write_end.load(), &byte, 1);
  errno = saved_errno;
}

}  // namespace

void install_interrupt_handlers() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    throw Error(Outcome::internal, "cannot create a pipe for signals");
  }
  g_read_end = ends[0];
  g_write_end = ends[1];
  struct sigaction action{};
  action.sa_handler = on_signal;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  action.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &action, nullptr);
}

int interrupt_fd() {
  return g_read_end;
}

std::optional<int> pending_interrupt() {
  const int number = g_signal;
  return number == 0 ? std::nullopt : std::optional(number);
}

void throw_if_interrupted() {
  if (const auto number = pending_interrupt()) {
    if (*number == SIGINT) {
      throw Error(Outcome::interrupted, "interrupted");
    }
    throw Error(Outcome::terminated, "terminated");
  }
}

}  // namespace lockkeeper::util
