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

double error_of(const std::vector<double>& is, const std::vector<double>& should) {
  if (is.size() != should.size()) return std::numeric_limits<double>::infinity();
  double deviation = 0, greatest = 1e-300;  // zeros are exact
  for (std::size_t i = 0; i < is.size(); ++i) {
    if (!std::isfinite(is[i])) return std::numeric_limits<double>::infinity();
    deviation = std::max(deviation, std::abs(is[i] - should[i]));
    greatest = std::max(greatest, std::abs(should[i]));
  }
  return deviation / greatest;
}

double error_of(const cpu::Tensors& is, const cpu::Tensors& should, Pass pass) {
  if (pass == Pass::kForward) return std::max(error_of(is.o, should.o), error_of(is.lse, should.lse));
  return std::max({error_of(is.dq, should.dq), error_of(is.dk, should.dk), error_of(is.dv, should.dv)});
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
