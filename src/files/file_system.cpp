#include "files/file_system.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace lockkeeper::files {

namespace {

constexpr std::size_t k_listing_bytes = std::size_t{32} * 1024;

class Descriptor {
 public:
  explicit Descriptor(int number) : m_number(number) {}
  ~Descriptor() {
    if (m_number >= 0) {
      ::close(m_number);
    }
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int number() const { return m_number; }

 private:
  int m_number;
};

/// open() that no signal interrupts and no pipe delays.
int open_to_read(const std::string& path, int flags) {
  int number = -1;
  do {
    number = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags);
  } while (number < 0 && errno == EINTR);
  return number;
}

/// Most file systems say what an entry is; some do not, and a link has to be followed. One that leads nowhere is no
/// directory: whoever reads it says so.
bool is_directory(const Descriptor& parent, const char* name, unsigned char type) {
  if (type != DT_LNK && type != DT_UNKNOWN) {
    return type == DT_DIR;
  }
  struct stat status{};
  return ::fstatat(parent.number(), name, &status, 0) == 0 && S_ISDIR(status.st_mode);
}

/// One record of getdents64(2): its length, and what it says.
struct Record {
  std::size_t length = 0;
  unsigned char type = DT_UNKNOWN;
  const char* name = nullptr;
};

Record record_at(const char* bytes) {
  Record record;
  decltype(dirent64::d_reclen) length = 0;
  std::memcpy(&length, bytes + offsetof(dirent64, d_reclen), sizeof length);
  std::memcpy(&record.type, bytes + offsetof(dirent64, d_type), sizeof record.type);
  record.length = length;
  record.name = bytes + offsetof(dirent64, d_name);
  return record;
}

}  // namespace

/// Not readdir(): it asks for the directory's attributes first and allocates its buffer each time.
std::variant<std::vector<DirectoryEntry>, int> list_directory(const std::string& path) {
  const Descriptor directory(open_to_read(path, O_DIRECTORY));
  if (directory.number() < 0) {
    return errno;
  }
  std::vector<DirectoryEntry> entries;
  alignas(dirent64) std::array<char, k_listing_bytes> buffer;
  for (;;) {
    const ssize_t size = ::getdents64(directory.number(), buffer.data(), buffer.size());
    if (size < 0) {
      return errno;
    }
    if (size == 0) {
      break;
    }
    for (const char* at = buffer.data(); at < buffer.data() + size;) {
      const Record record = record_at(at);
      if (*record.name != '.') {
        entries.push_back({record.name, is_directory(directory, record.name, record.type)});
      }
      at += record.length;
    }
  }
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return entries;
}

std::variant<std::string, Unread> read_file(const std::string& path, std::size_t limit) {
  const Descriptor file(open_to_read(path, 0));
  if (file.number() < 0) {
    return errno == ENXIO ? Unread{.why = Unread::Why::not_regular} : Unread{.error = errno};  // ENXIO: a socket
  }
  struct stat status{};
  if (::fstat(file.number(), &status) != 0) {
    return Unread{.error = errno};
  }
  if (!S_ISREG(status.st_mode)) {
    return Unread{.why = Unread::Why::not_regular};
  }
  const auto expected = static_cast<std::size_t>(status.st_size);
  std::string bytes;
  for (std::size_t size = 0; std::max(size, expected) <= limit;) {
    bytes.resize(size <= expected ? expected + 1
                                  : 2 * size);  // one more: a read that does not fill it has seen the end
    const ssize_t got = ::read(file.number(), bytes.data() + size, bytes.size() - size);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return Unread{.error = errno};
    }
    size += static_cast<std::size_t>(got);
    if (got == 0 || size == expected) {
      bytes.resize(size);
      return bytes;
    }
  }
  return Unread{.why = Unread::Why::too_large};
}

}  // namespace lockkeeper::files
