/// \file
/// Reading a small text file whole, with errors that say what to do. For configuration and mounted secrets.
///
/// Follows symbolic links (Kubernetes mounts are links to ..data). Only regular files: a pipe could wait for ever.
/// Not for: migrations (files/directory.hpp), contents in messages.
#pragma once

#include <array>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "util/error.hpp"

namespace lockkeeper::config {

/// Closes a file descriptor at the end of its scope.
class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : m_fd(fd) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() {
    if (m_fd >= 0) {
      ::close(m_fd);
    }
  }
  [[nodiscard]] int get() const { return m_fd; }

 private:
  int m_fd;
};

[[noreturn]] inline void throw_unreadable(const std::string& what, int error) {
  if (error == ENOENT || error == ENOTDIR) {
    throw util::Error(util::Outcome::config, fmt::format("{} does not exist", what));
  }
  const std::string hint =
      error == EACCES ? fmt::format("Let user {} or group {} read it: in a pod, fsGroup and defaultMode: 0440.",
                                    ::getuid(), ::getgid())
                      : std::string();
  throw util::Error(util::Outcome::config,
                    fmt::format("{} cannot be read: {}", what, std::generic_category().message(error)), hint);
}

/// The bytes of \p path without a UTF-8 BOM. \p what names the file in messages: "file /run/url (DATABASE_URL_FILE)".
/// \throws Error{config} missing, not permitted, a directory or no regular file, larger than \p max_bytes, read error
inline std::string read_text_file(const std::string& path, const std::string& what, std::size_t max_bytes) {
  // Not blocking, or opening a named pipe without a writer would wait for ever.
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status{};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) {
    throw_unreadable(what, errno);
  }
  if (S_ISDIR(status.st_mode)) {
    throw util::Error(util::Outcome::config, fmt::format("{} is a directory", what), "Name a file in it.");
  }
  if (!S_ISREG(status.st_mode)) {
    throw util::Error(util::Outcome::config, fmt::format("{} is not a regular file", what));
  }
  std::string text;
  std::array<char, 16384> buffer{};
  while (true) {
    const ssize_t count = ::read(file.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      throw_unreadable(what, errno);
    }
    if (count == 0) {
      break;
    }
    text.append(buffer.data(), static_cast<std::size_t>(count));
    if (text.size() > max_bytes) {
      throw util::Error(util::Outcome::config, fmt::format("{} is larger than {} KiB", what, max_bytes / 1024));
    }
  }
  if (text.starts_with("\xEF\xBB\xBF")) {
    text.erase(0, 3);
  }
  return text;
}

}  // namespace lockkeeper::config
