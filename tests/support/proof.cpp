#include "tests/support/proof.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/execution/cpu/executor.h"
#include "core/schedule/passes/assign_memory.h"
#include "core/schedule/passes/prune.h"
#include "core/schedule/passes/verify.h"
#include "core/schedule/text.h"

namespace meshattn::testing {

double error_of(const std::vector<double>& actual, const std::vector<double>& expected) {
  if (actual.size() != expected.size()) return std::numeric_limits<double>::infinity();
  double deviation = 0, greatest = 1e-300;  // zeros are exact
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (!std::isfinite(actual[i])) return std::numeric_limits<double>::infinity();
    deviation = std::max(deviation, std::abs(actual[i] - expected[i]));
    greatest = std::max(greatest, std::abs(expected[i]));
  }
  return deviation / greatest;
}

double error_of(const cpu::Tensors& actual, const cpu::Tensors& expected, Pass pass) {
  if (pass == Pass::kForward) return std::max(error_of(actual.o, expected.o), error_of(actual.lse, expected.lse));
  return std::max(
      {error_of(actual.dq, expected.dq), error_of(actual.dk, expected.dk), error_of(actual.dv, expected.dv)});
}

cpu::Tensors dense_tensors(const AttentionShape& shape, Mask mask) {
  cpu::Tensors t = cpu::random_tensors(shape, 7);
  cpu::dense_forward(shape, mask, t);
  cpu::dense_backward(shape, mask, t);
  return t;
}

void expect_proved(Schedule schedule, const cpu::Tensors& dense, const std::string& what) {
  Schedule s = prune(std::move(schedule));
  assign_memory(s);
  expect_right(s, dense, what);
}

void expect_right(const Schedule& s, const cpu::Tensors& dense, const std::string& what) {
  std::string findings;
  for (const Finding& finding : verify(s)) findings += finding.what + '\n';
  EXPECT_EQ(findings, "") << what;
  EXPECT_LE(error_of(cpu::run(s, dense), dense, s.problem.pass), 1e-12) << what;
  const std::string text = write_text(s);
  const Schedule read = read_text(text, "text");
  EXPECT_EQ(read.problem, s.problem) << what;
  EXPECT_TRUE(write_text(read) == text) << what;
}

}  // namespace meshattn::testing
