#include "tests/support/interpreter/interpreter.h"

#include "tests/support/interpreter/program.h"
#include "tests/support/interpreter/run.h"

namespace meshattn::testing {

std::string interpret(const Schedule& schedule, int runs, std::mt19937& random) {
  try {
    const interpreter::Program program(schedule);
    for (int i = 0; i < runs; ++i)
      interpreter::Run(program, static_cast<interpreter::Timing>(i % interpreter::kTimings), random).run();
  } catch (const interpreter::Wrong& what) {
    return what.what();
  }
  return {};
}

}  // namespace meshattn::testing
