/// \file
/// Internal to files/: the names in a directory and the bytes of a file, for as few system calls as that takes.
///
/// A run with nothing to do does little else, once for each migration that there ever was: four calls to list a
/// directory, four to read a file. Symbolic links are followed, as Kubernetes volumes need it.
/// Not for: what is written, what is no regular file (it is not read, and no pipe is waited for).
#pragma once

#include <cstddef>
#include <string>
#include <variant>
#include <vector>

namespace lockkeeper::files {

struct DirectoryEntry {
  std::string name;
  bool is_directory = false;
};

/// The entries sorted by name, without those that start with a dot; or errno.
std::variant<std::vector<DirectoryEntry>, int> list_directory(const std::string& path);

/// Why a file was not read.
struct Unread {
  enum class Why { refused, not_regular, too_large };
  Why why = Why::refused;
  int error = 0;  ///< refused: errno
};

/// All bytes of a file of at most \p limit bytes.
std::variant<std::string, Unread> read_file(const std::string& path, std::size_t limit);

}  // namespace lockkeeper::files
