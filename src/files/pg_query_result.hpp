/// \file
/// Results of libpg_query that free themselves. Include only from .cpp files of files/.
#pragma once

#include <pg_query.h>

namespace lockkeeper::files {

/// Frees a result of libpg_query at the end of the scope.
template <typename Result, void (*k_free)(Result)>
class Owned {
 public:
  explicit Owned(Result result) : m_result(result) {}
  ~Owned() { k_free(m_result); }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  const Result* operator->() const { return &m_result; }

 private:
  Result m_result;
};
using ParserSplit = Owned<PgQuerySplitResult, pg_query_free_split_result>;
using ParserTree = Owned<PgQueryParseResult, pg_query_free_parse_result>;

}  // namespace lockkeeper::files
