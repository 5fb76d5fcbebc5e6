#include "files/directory.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <iterator>
#include <optional>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "files/checksum.hpp"
#include "files/file_system.hpp"
#include "files/metadata.hpp"
#include "files/name.hpp"
#include "files/rules.hpp"
#include "files/statements.hpp"
#include "util/text.hpp"

namespace lockkeeper::files {

namespace {

namespace fs = std::filesystem;
using core::Migration;
using core::Script;
using util::ErrorInfo;

constexpr std::size_t k_max_bytes = std::size_t{64} * 1024 * 1024;
/// Texts that scan() leaves in memory for parse(): of the newest migrations, since those may be pending.
constexpr std::size_t k_kept_text = std::size_t{4} * 1024 * 1024;
constexpr std::string_view k_bom = "\xEF\xBB\xBF";
constexpr std::string_view k_up = "up.sql";
constexpr std::string_view k_down = "down.sql";
constexpr std::string_view k_metadata = "migration.yaml";

// ---------------------------------------------------------------------------------------------------------------------
// Problems

ErrorInfo file_problem(const std::string& path, std::string message, std::string hint = {}) {
  ErrorInfo info;
  info.outcome = util::Outcome::migration_files;
  info.message = std::move(message);
  info.hint = std::move(hint);
  info.where = util::SourcePosition{path, 0, 0};
  return info;
}

ErrorInfo text_problem(const std::string& path, std::string_view text, util::LineColumn at, std::string message,
                       std::string hint) {
  ErrorInfo info = file_problem(path, std::move(message), std::move(hint));
  info.where = util::SourcePosition{path, at.line, at.column};
  info.excerpt = util::excerpt(text, at);
  return info;
}

/// One problem is thrown as it is; several become one error that lists them.
void throw_if_any(std::vector<ErrorInfo> problems, const std::string& directory) {
  if (problems.empty()) {
    return;
  }
  if (problems.size() == 1) {
    throw util::Error(std::move(problems.front()));
  }
  ErrorInfo all = file_problem({}, fmt::format("{} problems in {}", problems.size(), directory));
  all.where = problems.front().where;
  for (const ErrorInfo& problem : problems) {
    all.detail += (all.detail.empty() ? "" : "\n") + util::to_string(problem);
  }
  throw util::Error(std::move(all));
}

// ---------------------------------------------------------------------------------------------------------------------
// Reading one file

std::string join(const std::string& directory, std::string_view name) {
  std::string path;
  path.reserve(directory.size() + 1 + name.size());
  path += directory;
  path += directory.ends_with('/') ? "" : "/";
  path += name;
  return path;
}

std::string error_text(int error) {
  return std::generic_category().message(error);
}

ErrorInfo unread_problem(const std::string& path, const Unread& unread) {
  switch (unread.why) {
    case Unread::Why::not_regular: return file_problem(path, "expected a file, found something else");
    case Unread::Why::too_large:
      return file_problem(path, fmt::format("larger than {} MiB", k_max_bytes / 1024 / 1024),
                          "Split it into several migrations, or load the data in another way.");
    case Unread::Why::refused: break;
  }
  if (unread.error == ENOENT) {
    return file_problem(path, "a symbolic link that leads nowhere",
                        "In Kubernetes, check the volume's items and optional keys.");
  }
  return file_problem(
      path, fmt::format("cannot be read: {}", error_text(unread.error)),
      unread.error == EACCES ? "The process needs permission to read it; check securityContext and defaultMode." : "");
}

std::optional<std::string> read_bytes(const std::string& path, std::vector<ErrorInfo>& problems) {
  auto read = read_file(path, k_max_bytes);
  if (const auto* unread = std::get_if<Unread>(&read)) {
    problems.push_back(unread_problem(path, *unread));
    return std::nullopt;
  }
  return std::get<std::string>(std::move(read));
}

/// The offset of the first byte that is no UTF-8.
std::size_t first_invalid_byte(std::string_view text) {
  std::size_t at = 0;
  for (std::size_t length = 1; at < text.size() && length <= 4; ++length) {
    if (util::is_valid_utf8(text.substr(at, length))) {
      at += std::min(length, text.size() - at);
      length = 0;
    }
  }
  return at;
}

/// Where a line starts with \p marker.
std::optional<std::size_t> line_with(std::string_view text, std::string_view marker) {
  for (std::size_t at = text.find(marker); at != std::string_view::npos; at = text.find(marker, at + 1)) {
    if (at == 0 || text[at - 1] == '\n') {
      return at;
    }
  }
  return std::nullopt;
}

/// What an editor, git or a download leaves in a file that no migration wants.
std::optional<ErrorInfo> unusable_text(const std::string& path, std::string_view text) {
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) {
    return file_problem(path, "UTF-16 text", "Save the file as UTF-8.");
  }
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    return text_problem(path, text, util::line_column(text, nul), "NUL byte", "Save the file as UTF-8 text.");
  }
  if (!util::is_valid_utf8(text)) {
    const std::size_t bad = first_invalid_byte(text);
    return text_problem(path, {}, util::line_column(text, bad),
                        fmt::format("not valid UTF-8: byte 0x{:02x}", static_cast<unsigned char>(text[bad])),
                        "Save the file as UTF-8.");
  }
  if (text.starts_with("version https://git-lfs.github.com/spec/")) {
    return file_problem(path, "a Git LFS pointer instead of the file's content",
                        "Fetch the content where the image is built: git lfs pull.");
  }
  for (const std::string_view marker : {"<<<<<<< ", ">>>>>>> "}) {
    if (const std::optional<std::size_t> at = line_with(text, marker)) {
      return text_problem(path, text, util::line_column(text, *at), "merge conflict marker",
                          "Resolve the conflict and remove the markers.");
    }
  }
  return std::nullopt;
}

/// The text without a BOM; nothing when there is a problem, which is noted.
std::optional<std::string> read_text(const std::string& path, std::vector<ErrorInfo>& problems) {
  std::optional<std::string> text = read_bytes(path, problems);
  if (!text) {
    return std::nullopt;
  }
  if (text->starts_with(k_bom)) {
    text->erase(0, k_bom.size());
  }
  if (std::optional<ErrorInfo> problem = unusable_text(path, *text)) {
    problems.push_back(std::move(*problem));
    return std::nullopt;
  }
  return text;
}

std::optional<Script> read_script(const std::string& path, std::vector<ErrorInfo>& problems) {
  std::optional<std::string> text = read_text(path, problems);
  if (!text) {
    return std::nullopt;
  }
  if (text->empty()) {
    problems.push_back(file_problem(path, "the file is empty", "Write the migration's SQL, or remove it."));
    return std::nullopt;
  }
  Script script;
  script.path = path;
  script.checksum = script_checksum(*text);
  script.text = std::move(*text);
  return script;
}

// ---------------------------------------------------------------------------------------------------------------------
// Listing

/// Without what starts with a dot: hidden files, and ..data and its time stamped directory, which the kubelet puts next
/// to the links that lead into it.
std::vector<DirectoryEntry> list(const std::string& directory) {
  auto listed = list_directory(directory);
  if (auto* entries = std::get_if<std::vector<DirectoryEntry>>(&listed)) {
    return std::move(*entries);
  }
  const int error = std::get<int>(listed);
  if (error == ENOENT) {
    throw util::Error(file_problem(directory, "there is no such directory",
                                   "Set --migrations to the directory that holds the migrations; in Kubernetes, check "
                                   "the image or the volume mount."));
  }
  throw util::Error(file_problem(directory, fmt::format("cannot be read: {}", error_text(error)),
                                 error == ENOTDIR ? "Set --migrations to the directory that holds the migrations."
                                                  : "The process needs permission to list it."));
}

bool is_documentation(std::string_view name) {
  return name.starts_with("README") || name.ends_with(".md");
}

/// What lies next to the migrations. Only SQL there is surely a mistake.
void check_plain_file(const std::string& directory, const std::string& name, std::vector<ErrorInfo>& problems) {
  if (name.ends_with(".sql") || name.ends_with(".SQL")) {
    problems.push_back(file_problem(
        join(directory, name), "SQL outside of a migration's directory",
        fmt::format("Lockkeeper wants a directory for each migration: {}/up.sql.", name.substr(0, name.rfind('.')))));
  }
}

std::string unknown_file_hint(const std::string& name) {
  constexpr std::array<std::string_view, 3> k_known = {k_up, k_down, k_metadata};
  if (name == "migration.sql") {
    return "Did you mean \"up.sql\"? Lockkeeper's name for Prisma's migration.sql is up.sql.";
  }
  for (const std::string_view known : k_known) {  // down.sql.bak, up.sql~
    if (name.starts_with(known)) {
      return fmt::format("Did you mean \"{}\"? Remove copies of files.", known);
    }
  }
  const std::string_view close = util::closest(name, k_known);
  return close.empty() ? "A migration consists of up.sql, down.sql and migration.yaml; README and *.md are allowed."
                       : fmt::format("Did you mean \"{}\"?", close);
}

/// The files of one migration. Nothing when up.sql cannot be used.
std::optional<Migration> scan_migration(const std::string& path, DirectoryName name, std::vector<ErrorInfo>& problems) {
  Migration migration;
  migration.version = std::move(name.version);
  migration.name = std::move(name.name);
  migration.directory = path;
  std::optional<Script> up;
  bool has_up = false;
  for (const DirectoryEntry& entry : list(path)) {
    const std::string file = join(path, entry.name);
    if (entry.name == k_up) {
      has_up = true;
      up = read_script(file, problems);
    } else if (entry.name == k_down) {
      migration.down = read_script(file, problems);
    } else if (entry.name == k_metadata) {
      migration.has_metadata = read_text(file, problems).has_value();
    } else if (entry.is_directory || !is_documentation(entry.name)) {
      problems.push_back(file_problem(file, entry.is_directory ? "unexpected directory" : "unexpected file",
                                      unknown_file_hint(entry.name)));
    }
  }
  if (!has_up) {
    problems.push_back(
        file_problem(path, "the migration has no up.sql", "Write its SQL to up.sql, or remove the directory."));
  }
  if (!up) {
    return std::nullopt;
  }
  migration.up = std::move(*up);
  return migration;
}

/// The migrations as they are scanned, with the texts of the last k_kept_text of them.
class Scanned {
 public:
  explicit Scanned(std::size_t expected) { m_migrations.reserve(expected); }

  void add(Migration migration) {
    m_bytes += text_size(migration);
    m_migrations.push_back(std::move(migration));
    for (; m_bytes > k_kept_text; ++m_oldest_kept) {
      Migration& oldest = m_migrations[m_oldest_kept];
      m_bytes -= text_size(oldest);
      oldest.up.text = std::string();  // an assignment of {} would keep the memory
      if (oldest.down) {
        oldest.down->text = std::string();
      }
    }
  }
  [[nodiscard]] bool empty() const { return m_migrations.empty(); }
  [[nodiscard]] std::vector<Migration> take() { return std::move(m_migrations); }

 private:
  static std::size_t text_size(const Migration& migration) {
    return migration.up.text.size() + (migration.down ? migration.down->text.size() : 0);
  }

  std::vector<Migration> m_migrations;
  std::size_t m_bytes = 0;
  std::size_t m_oldest_kept = 0;
};

void scan_directory(const std::string& path, DirectoryName name, Scanned& scanned, std::vector<ErrorInfo>& problems) {
  try {
    if (auto migration = scan_migration(path, std::move(name), problems)) {
      scanned.add(std::move(*migration));
    }
  } catch (const util::Error& error) {  // the directory cannot be listed
    problems.push_back(error.info());
  }
}

/// Files are mostly named so that they are in order already; sorting would move all of them to find that out.
template <typename Values, typename Less>
void put_in_order(Values& values, Less less) {
  if (!std::is_sorted(values.begin(), values.end(), less)) {
    std::sort(values.begin(), values.end(), less);
  }
}

using NamedVersion = std::pair<core::Version, std::string_view>;  ///< and the name of its directory

void check_duplicates(std::vector<NamedVersion> versions, const std::string& directory,
                      std::vector<ErrorInfo>& problems) {
  put_in_order(versions, [](const auto& a, const auto& b) {
    return a.first == b.first ? a.second < b.second : a.first < b.first;
  });
  for (std::size_t i = 1; i < versions.size(); ++i) {
    if (versions[i].first == versions[i - 1].first) {
      problems.push_back(file_problem(join(directory, versions[i].second),
                                      fmt::format("the same version as {}", join(directory, versions[i - 1].second)),
                                      "Give one of the two another version; leading zeros do not count."));
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Parsing

/// A text that scan() did not keep; false when there is a problem, which is noted.
bool read_again(Script& script, std::vector<ErrorInfo>& problems) {
  std::optional<Script> again = read_script(script.path, problems);
  if (again && again->checksum != script.checksum) {
    problems.push_back(file_problem(script.path, "the file was changed while this run was reading it",
                                    "Nothing of it was run; run again."));
    return false;
  }
  if (again) {
    script.text = std::move(again->text);
  }
  return again.has_value();
}

void parse_script(Script& script, std::vector<ErrorInfo>& problems) {
  if (script.text.empty() && !read_again(script, problems)) {
    return;
  }
  SplitResult result = split(script.text, script.path);
  script.statements = std::move(result.statements);
  script.parsed = true;
  std::move(result.problems.begin(), result.problems.end(), std::back_inserter(problems));
  if (script.statements.empty()) {
    problems.push_back(file_problem(script.path, "the file has no statements",
                                    script.path.ends_with(k_down)
                                        ? "Write what undoes up.sql, or delete down.sql when nothing can."
                                        : "Write the migration's SQL, or remove the migration."));
  }
  check_statements(script, problems);
}

void parse_metadata(Migration& migration, TransactionMode& mode, std::vector<ErrorInfo>& problems) {
  const std::string path = join(migration.directory, k_metadata);
  const std::optional<std::string> text = read_text(path, problems);
  if (!text) {
    return;
  }
  MetadataResult result = read_metadata(*text, path);
  mode = result.metadata.transaction;
  migration.description = std::move(result.metadata.description);
  migration.phase = result.metadata.phase;
  migration.lock_timeout = result.metadata.lock_timeout;
  migration.statement_timeout = result.metadata.statement_timeout;
  migration.expect = std::move(result.metadata.expect);
  migration.data_loss = std::move(result.metadata.data_loss);
  std::move(result.problems.begin(), result.problems.end(), std::back_inserter(problems));
}

void parse_migration(Migration& migration, std::vector<ErrorInfo>& problems) {
  TransactionMode mode = TransactionMode::automatic;
  if (migration.has_metadata) {
    parse_metadata(migration, mode, problems);
  }
  parse_script(migration.up, problems);
  migration.transactional = is_transactional(migration.up, mode);
  if (migration.down) {
    parse_script(*migration.down, problems);
  }
  for (Script* script : {&migration.up, migration.down ? &*migration.down : nullptr}) {
    if (script != nullptr && migration.transactional) {
      check_transaction(*script, mode, problems);
    } else if (script != nullptr) {
      use_no_transaction(*script);
    }
  }
  migration.parsed = true;
}

}  // namespace

std::vector<Migration> scan(const std::string& directory) {
  const std::vector<DirectoryEntry> entries = list(directory);
  std::vector<ErrorInfo> problems;
  std::vector<NamedVersion> versions;  // of broken migrations, too
  Scanned scanned(entries.size());
  for (const DirectoryEntry& entry : entries) {
    if (!entry.is_directory) {
      check_plain_file(directory, entry.name, problems);
      continue;
    }
    if (entry.name == "lost+found") {  // the root of an ext4 volume
      continue;
    }
    const std::string path = join(directory, entry.name);
    auto name = parse_directory_name(entry.name);
    if (const auto* problem = std::get_if<NameProblem>(&name)) {
      problems.push_back(file_problem(path, fmt::format("the directory's name {}", problem->message), problem->hint));
      continue;
    }
    versions.emplace_back(std::get<DirectoryName>(name).version, entry.name);
    scan_directory(path, std::get<DirectoryName>(std::move(name)), scanned, problems);
  }
  check_duplicates(std::move(versions), directory, problems);
  if (scanned.empty() && problems.empty()) {
    problems.push_back(file_problem(directory, "there are no migrations in the directory",
                                    "A volume that is not mounted looks like this; create a migration with: "
                                    "lockkeeper new NAME."));
  }
  throw_if_any(std::move(problems), directory);
  std::vector<Migration> migrations = scanned.take();
  put_in_order(migrations, [](const auto& a, const auto& b) { return a.version < b.version; });
  return migrations;
}

void parse(std::span<Migration* const> migrations) {
  std::vector<ErrorInfo> problems;
  std::string directory;
  for (Migration* migration : migrations) {
    if (!migration->parsed) {
      directory = fs::path(migration->directory).parent_path().string();
      parse_migration(*migration, problems);
    }
  }
  throw_if_any(std::move(problems), directory);
}

}  // namespace lockkeeper::files
