/// \file
/// Metrics as values: what the text format and OTLP are both made from. The list itself is in metrics.hpp.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lockkeeper::observe {

struct Sample {
  std::string label_value;  ///< empty when the metric has no label
  double value = 0;
};

/// One gauge with its samples. Not without samples: what is not known is left out as a whole.
struct Family {
  std::string_view name;
  std::string_view label;  ///< name of its only label; empty = none
  std::string_view help;
  std::vector<Sample> samples;
};

/// Label names and values, in order.
using MetricLabels = std::vector<std::pair<std::string, std::string>>;

}  // namespace lockkeeper::observe
