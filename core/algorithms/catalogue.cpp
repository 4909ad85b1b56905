#include "core/algorithms/catalogue.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "core/base/error.h"

namespace meshattn {

namespace catalogue {

#define MESHATTN_ALGORITHM(name) Algorithm name();
#include "core/algorithms/catalogue.def"
#undef MESHATTN_ALGORITHM

}  // namespace catalogue

std::span<const Algorithm> algorithms() {
  static const Algorithm kAlgorithms[] = {
#define MESHATTN_ALGORITHM(name) catalogue::name(),
#include "core/algorithms/catalogue.def"
#undef MESHATTN_ALGORITHM
  };
  return kAlgorithms;
}

std::string algorithm_names() {
  std::string names;
  for (const Algorithm& algorithm : algorithms()) names.append(names.empty() ? "" : ", ").append(algorithm.name);
  return names;
}

const Algorithm& algorithm_of(std::string_view name) {
  for (const Algorithm& algorithm : algorithms())
    if (algorithm.name == name) return algorithm;
  throw InvalidInput(fmt::format("unknown algorithm '{}': possible are {}", name, algorithm_names()));
}

}  // namespace meshattn
