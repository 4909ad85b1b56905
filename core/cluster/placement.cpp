#include "core/cluster/placement.h"

#include <spdlog/fmt/fmt.h>

#include <numeric>

#include "core/base/error.h"

namespace meshattn {

Placement linear_placement(int ranks) {
  if (ranks < 1) throw InvalidInput(fmt::format("{} GPUs: a network has at least one", ranks));
  constexpr int kMostGpus = 65'536;  // the most ranks of a problem
  if (ranks > kMostGpus) throw InvalidInput(fmt::format("{} GPUs: at most {}", ranks, kMostGpus));
  Placement p{"linear", std::vector<int>(static_cast<std::size_t>(ranks))};
  std::iota(p.gpu.begin(), p.gpu.end(), 0);
  return p;
}

}  // namespace meshattn
