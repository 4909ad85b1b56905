#include "gpu/deviation.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "gpu/kernels/value_conversion.h"

namespace meshattn::gpu {

namespace {

struct Squares {
  double deviation = 0;
  double should = 0;
  double numbers = 0;

  /// Where all of a result should be nothing (dQ, if every query sees one key), rounding is no error: numbers of which
  /// inputs and outputs are made are of the size of 1.
  [[nodiscard]] double nothing() const { return numbers * 1e-6 * 1e-6; }
  [[nodiscard]] double relative() const {
    return deviation == 0 ? 0 : std::sqrt(deviation / std::max(should, nothing()));
  }
};

/// Zero where the outputs of these ranks have a number, NaN elsewhere.
cpu::Tensors owned_by(const Schedule& s, std::span<const Rank> ranks) {
  cpu::Tensors owned;
  for (ValueId v : s.outputs)
    if (std::ranges::find(ranks, s.values[v].rank) != ranks.end())
      read_output(s, v, std::vector<std::byte>(s.bytes(v)), owned);
  return owned;
}

/// Of the numbers that `owned` has; of all if it is empty.
Squares squares(const std::vector<double>& is, const std::vector<double>& should, const std::vector<double>& owned) {
  Squares sum;
  if (is.size() != should.size()) return {std::numeric_limits<double>::infinity(), 1, 1};
  for (std::size_t i = 0; i < is.size(); ++i) {
    if (!owned.empty() && std::isnan(owned[i])) continue;
    const double off = is[i] - should[i];
    sum.deviation += std::isfinite(off) ? off * off : std::numeric_limits<double>::infinity();
    sum.should += should[i] * should[i];
    ++sum.numbers;
  }
  return sum;
}

}  // namespace

std::vector<Deviation> deviations(const Schedule& s, std::span<const Rank> served, const cpu::Tensors& is,
                                  const cpu::Tensors& should, const Job& job, Deadline deadline) {
  struct Pair {
    const char* name;
    std::vector<double> cpu::Tensors::*tensor;
  };
  const std::vector<Pair> results =
      s.problem.pass == Pass::kForward
          ? std::vector<Pair>{{"O", &cpu::Tensors::o}, {"lse", &cpu::Tensors::lse}}
          : std::vector<Pair>{{"dQ", &cpu::Tensors::dq}, {"dK", &cpu::Tensors::dk}, {"dV", &cpu::Tensors::dv}};
  const cpu::Tensors owned = job.size() > 1 ? owned_by(s, served) : cpu::Tensors{};
  std::vector<Deviation> all;
  for (const auto& [name, tensor] : results) {
    const Squares mine = squares(is.*tensor, should.*tensor, owned.*tensor);
    Squares sum;
    for (const std::vector<std::byte>& bytes : job.gather(std::as_bytes(std::span(&mine, 1)), deadline)) {
      Squares theirs;
      std::memcpy(&theirs, bytes.data(), sizeof theirs);
      sum.deviation += theirs.deviation;
      sum.should += theirs.should;
      sum.numbers += theirs.numbers;
    }
    if (job.rank() == 0) all.push_back({name, sum.relative(), sum.should < sum.nothing()});
  }
  return all;
}

}  // namespace meshattn::gpu
