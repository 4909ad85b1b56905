#pragma once

#include <boost/program_options.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/schedule/schedule.h"
#include "experiments/cli/request.h"
#include "gpu/run.h"

namespace meshattn {

/// What `meshattn run` is asked.
struct RunRequest {
  Request request;
  std::vector<PlanRequest> passes;   ///< to be planned; none if a schedule is given
  std::optional<Schedule> schedule;  ///< read from a file
  Placement placement;
  gpu::RunOptions options;
  std::uint64_t seed = 1;
  bool check = true;
  std::string json, trace;

  [[nodiscard]] const Problem& problem() const { return request.question.problem; }
};

/// The options that `read_run_request` reads.
void add_run_options(boost::program_options::options_description& options);

/// @throws InvalidInput naming the option that is missing, malformed or does not fit the others.
[[nodiscard]] RunRequest read_run_request(const boost::program_options::variables_map& given);

}  // namespace meshattn
