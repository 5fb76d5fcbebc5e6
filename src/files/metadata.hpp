/// \file
/// migration.yaml: description, transaction, phase, timeouts, expect, data_loss.
///
/// Everything in it is checked here, with line and column, so that nothing is left to fail at run time. Names of
/// objects are case-sensitive and never folded.
/// Not for: what the file says about the scripts (files/directory.cpp compares transaction with the statements).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/expectation.hpp"
#include "core/migration.hpp"
#include "util/clock.hpp"
#include "util/error.hpp"

namespace lockkeeper::files {

/// automatic: in a transaction, unless no statement of up.sql can run in one.
enum class TransactionMode { automatic, single, none };

struct Metadata {
  std::string description;
  TransactionMode transaction = TransactionMode::automatic;
  util::SourcePosition transaction_where;  ///< of the key's value; no line when it is not there
  core::Phase phase = core::Phase::pre;
  std::optional<util::Duration> lock_timeout;
  std::optional<util::Duration> statement_timeout;
  std::vector<core::Expectation> expect;
  std::vector<core::LossCount> data_loss;
};

struct MetadataResult {
  Metadata metadata;
  std::vector<util::ErrorInfo> problems;  ///< all of them, in the order of the file as far as possible
};

/// \p text is the content of \p file.
MetadataResult read_metadata(std::string_view text, const std::string& file);

/// app.Booking, Booking, "odd.schema".Booking. nullopt when \p text is no such name.
std::optional<core::ObjectName> parse_object_name(std::string_view text);

}  // namespace lockkeeper::files
