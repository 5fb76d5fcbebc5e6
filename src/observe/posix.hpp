/// \file
/// Internal to observe/: the two lines of POSIX that writing a file needs.
#pragma once

#include <cerrno>
#include <string>
#include <string_view>
#include <system_error>

#include <unistd.h>

namespace lockkeeper::observe {

/// False: errno says why.
inline bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written <= 0) {
      return false;
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

/// strerror() without its shared buffer.
inline std::string errno_text(int error) {
  return std::generic_category().message(error);
}

}  // namespace lockkeeper::observe
