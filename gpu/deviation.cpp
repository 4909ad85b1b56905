#include "gpu/deviation.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "gpu/kernels/value_conversion.h"

namespace meshattn::gpu {

namespace {

struct Squares {
  double error = 0;
  double expected = 0;
  double numbers = 0;

  /// The square below which the expected result counts as zero (dQ if every query sees one key), so that rounding is no
  /// error: inputs are about 1.
  [[nodiscard]] double zero_bound() const { return numbers * 1e-6 * 1e-6; }
  [[nodiscard]] double relative() const { return error == 0 ? 0 : std::sqrt(error / std::max(expected, zero_bound())); }
};

/// Tensors that are zero in the outputs of these ranks and NaN elsewhere.
cpu::Tensors owned_by(const Schedule& s, std::span<const Rank> ranks) {
  cpu::Tensors owned;
  for (ValueId v : s.outputs)
    if (std::ranges::find(ranks, s.values[v].rank) != ranks.end())
      read_output(s, v, std::vector<std::byte>(s.bytes(v)), owned);
  return owned;
}

/// Sums over the numbers that are not NaN in `owned`, or over all if `owned` is empty.
Squares squares(const std::vector<double>& actual, const std::vector<double>& expected,
                const std::vector<double>& owned) {
  Squares sum;
  if (actual.size() != expected.size()) return {std::numeric_limits<double>::infinity(), 1, 1};
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (!owned.empty() && std::isnan(owned[i])) continue;
    const double off = actual[i] - expected[i];
    sum.error += std::isfinite(off) ? off * off : std::numeric_limits<double>::infinity();
    sum.expected += expected[i] * expected[i];
    ++sum.numbers;
  }
  return sum;
}

}  // namespace

std::vector<Deviation> deviations(const Schedule& s, std::span<const Rank> served, const cpu::Tensors& actual,
                                  const cpu::Tensors& expected, const Job& job, Deadline deadline) {
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
    const Squares mine = squares(actual.*tensor, expected.*tensor, owned.*tensor);
    Squares sum;
    for (const std::vector<std::byte>& bytes : job.gather(std::as_bytes(std::span(&mine, 1)), deadline)) {
      Squares theirs;
      std::memcpy(&theirs, bytes.data(), sizeof theirs);
      sum.error += theirs.error;
      sum.expected += theirs.expected;
      sum.numbers += theirs.numbers;
    }
    if (job.rank() == 0) all.push_back({name, sum.relative(), sum.expected < sum.zero_bound()});
  }
  return all;
}

}  // namespace meshattn::gpu
