#include "gpu/nccl_lanes.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <thread>

#include "core/error.h"

namespace meshattn::gpu {

namespace {

void check(ncclResult_t result, const std::string& what) {
  if (result != ncclSuccess && result != ncclInProgress)
    throw DeviceError(fmt::format("NCCL: {}: {}", what, ncclGetErrorString(result)));
}

}  // namespace

NcclLanes::NcclLanes(const CudaRank& rank, int ranks, std::span<const ncclUniqueId> ids, int most_ctas,
                     Deadline deadline)
    : rank_(rank) {
  rank.use();
  for (const ncclUniqueId& id : ids) {
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    config.maxCTAs = most_ctas;
    communicators_.push_back(nullptr);
    const ncclResult_t result = ncclCommInitRankConfig(&communicators_.back(), ranks, id, rank.rank(), &config);
    settle(static_cast<Lane>(communicators_.size()), result, "meeting the other ranks", deadline);
  }
}

NcclLanes::~NcclLanes() {
  for (ncclComm_t c : communicators_)
    if (c != nullptr) ncclCommAbort(c);  // all is done or given up: no need to meet again
}

/// Waits until NCCL has done with a call that does not block.
void NcclLanes::settle(Lane lane, ncclResult_t result, const std::string& what, Deadline deadline) const {
  const std::string where = fmt::format("{} on lane {} of rank {}", what, lane, rank_.rank());
  check(result, where);
  ncclComm_t communicator = communicators_[lane - 1u];
  while (result == ncclInProgress) {
    check(ncclCommGetAsyncError(communicator, &result), where);
    check(result, where);
    if (std::chrono::steady_clock::now() > deadline) throw DeviceError(fmt::format("NCCL: {}: timed out", where));
    if (result == ncclInProgress) std::this_thread::yield();
  }
}

void NcclLanes::exchange(Lane lane, std::span<const Message> messages, Deadline deadline) const {
  rank_.use();
  ncclComm_t communicator = communicators_[lane - 1u];
  check(ncclGroupStart(), "a group");
  for (const Message& m : messages) {
    std::byte* at = rank_.arena() + m.offset;
    const ncclResult_t result = m.way == Message::Way::kSend
                                    ? ncclSend(at, m.bytes, ncclInt8, m.peer, communicator, rank_.stream(lane))
                                    : ncclRecv(at, m.bytes, ncclInt8, m.peer, communicator, rank_.stream(lane));
    check(result, m.way == Message::Way::kSend ? "a send" : "a receive");
  }
  settle(lane, ncclGroupEnd(), "a group", deadline);
}

void NcclLanes::connect(const Program& program, Deadline deadline) const {
  for (Lane lane = 1; lane <= communicators_.size(); ++lane) {
    std::vector<Message> pairs;
    for (const Command& command : program.commands)
      if (const auto* group = std::get_if<Group>(&command); group != nullptr && group->lane == lane)
        for (Message m : program.messages_of(*group)) {
          const auto same = [&](const Message& other) { return other.way == m.way && other.peer == m.peer; };
          m.bytes = 1;
          if (std::ranges::none_of(pairs, same)) pairs.push_back(m);
        }
    if (!pairs.empty()) exchange(lane, pairs, deadline);
    if (!wait_for(rank_.stream(lane), deadline))
      throw DeviceError(fmt::format("NCCL: making connections on lane {} of rank {}: timed out", lane, rank_.rank()));
  }
}

std::string NcclLanes::trouble() const {
  for (ncclComm_t c : communicators_) {
    if (c == nullptr) continue;
    ncclResult_t result = ncclSuccess;
    if (ncclCommGetAsyncError(c, &result) != ncclSuccess || (result != ncclSuccess && result != ncclInProgress))
      return fmt::format("NCCL: {}", ncclGetErrorString(result));
  }
  return "";
}

void NcclLanes::abort() {
  for (ncclComm_t& c : communicators_) {
    if (c != nullptr) ncclCommAbort(c);
    c = nullptr;
  }
}

ncclUniqueId new_unique_id() {
  ncclUniqueId id;
  check(ncclGetUniqueId(&id), "a unique id");
  return id;
}

std::string nccl_version() {
  int version = 0;
  check(ncclGetVersion(&version), "version");
  return fmt::format("NCCL {}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

}  // namespace meshattn::gpu
