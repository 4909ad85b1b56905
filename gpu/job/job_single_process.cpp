#include <spdlog/fmt/fmt.h>

#include "core/base/error.h"
#include "gpu/job/environment_variables.h"
#include "gpu/job/job.h"

namespace meshattn::gpu {

Job::Job() {
  set_default_variables();
  if (const std::string as = launcher_text(); !as.empty())
    throw InvalidInput(fmt::format("started as {}, but this meshattn was built without MPI", as));
}
Job::~Job() = default;

void Job::barrier(Deadline) const {}
void Job::broadcast(std::span<std::byte>, Deadline) const {}
std::vector<std::vector<std::byte>> Job::gather(std::span<const std::byte> bytes, Deadline) const {
  return {{bytes.begin(), bytes.end()}};
}
Job::ClockOffset Job::clock_offset(Deadline) const { return {}; }

int in_job(const std::function<int(const Job&)>& work) {
  const Job job;
  return work(job);
}

std::string mpi_version() { return "without MPI"; }

}  // namespace meshattn::gpu
