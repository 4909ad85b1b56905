#include "gpu/nccl_lanes.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "core/error.h"

namespace meshattn::gpu {

namespace {

void check(ncclResult_t result, const std::string& what) {
  if (result != ncclSuccess && result != ncclInProgress)
    throw DeviceError(fmt::format("NCCL: {}: {}", what, ncclGetErrorString(result)));
}

/// "rank 1, rank 3": whom messages come from or go to.
std::string peers_text(std::span<const Message> messages) {
  std::vector<std::string> texts;
  for (const Message& m : messages)
    if (std::string text = fmt::format("rank {}", m.peer); std::ranges::find(texts, text) == texts.end())
      texts.push_back(std::move(text));
  return texts.empty() ? "nobody" : fmt::format("{}", fmt::join(texts, ", "));
}

}  // namespace

void require_small_groups(const Program& program) {
  constexpr std::uint32_t kMost = 2048;  // release notes of 2.11
  for (const Command& command : program.commands)
    if (const auto* group = std::get_if<Group>(&command); group != nullptr && group->message_count > kMost)
      throw InvalidInput(
          fmt::format("an exchange of rank {} has {} messages, and NCCL takes {} in a group: cut heads "
                      "into fewer ranges, or use --transport copies",
                      program.rank, group->message_count, kMost));
}

void NcclLanes::meet(int ranks, std::span<const ncclUniqueId> ids, int most_ctas, Deadline deadline) {
  rank_.use();
  for (const ncclUniqueId& id : ids) {
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    config.maxCTAs = most_ctas;
#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 28, 0)
    config.nChannelsPerNetPeer = most_ctas;  // else 2, or 1 where ranks are many, also within a node (nccl issue 1272)
#endif
    communicators_.push_back(nullptr);
    const ncclResult_t result = ncclCommInitRankConfig(&communicators_.back(), ranks, id, rank_.rank(), &config);
    settle(static_cast<Lane>(communicators_.size()), result, "meeting the other ranks", deadline);
  }
}

NcclLanes::~NcclLanes() { abort(); }

/// Waits until NCCL has done with a call that does not block.
void NcclLanes::settle(Lane lane, ncclResult_t result, const std::string& what, Deadline deadline) const {
  const std::string where = fmt::format("{} on lane {} of rank {}", what, lane, rank_.rank());
  check(result, where);
  ncclComm_t communicator = communicators_[lane - 1u];
  while (result == ncclInProgress) {
    check(ncclCommGetAsyncError(communicator, &result), where);
    check(result, where);
    if (result != ncclInProgress) return;
    require_patience(where, deadline);
    std::this_thread::yield();
  }
}

void NcclLanes::require_patience(const std::string& where, Deadline deadline) const {
  if (out_.is_taken()) throw DeviceError(fmt::format("NCCL: {}: {}", where, kOtherFailed));
  if (std::chrono::steady_clock::now() > deadline) throw DeviceError(fmt::format("NCCL: {}: timed out", where));
}

void NcclLanes::drain(Lane lane, const std::string& what, Deadline deadline) const {
  const std::string where = fmt::format("{} on lane {} of rank {}", what, lane, rank_.rank());
  while (!wait_for(rank_.stream(lane), std::chrono::steady_clock::now() + std::chrono::milliseconds(20))) {
    if (const std::string noticed = trouble(); !noticed.empty())
      throw DeviceError(fmt::format("{}: {}", where, noticed));
    require_patience(where, deadline);
  }
}

void NcclLanes::exchange(Lane lane, std::span<const Message> messages, Deadline deadline) const {
  rank_.use();
  ncclComm_t communicator = communicators_[lane - 1u];
  check(ncclGroupStart(), "a group");
  ncclResult_t result = ncclSuccess;
  for (const Message& m : messages) {
    std::byte* at = rank_.arena() + m.offset;
    if (result == ncclSuccess || result == ncclInProgress)
      result = m.way == Message::Way::kSend ? ncclSend(at, m.bytes, ncclInt8, m.peer, communicator, rank_.stream(lane))
                                            : ncclRecv(at, m.bytes, ncclInt8, m.peer, communicator, rank_.stream(lane));
  }
  const ncclResult_t ended = ncclGroupEnd();  // whatever came before: a group that was begun must end
  check(result, "a send or receive");
  settle(lane, ended, "a group", deadline);
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
    drain(lane, fmt::format("connecting with {}", peers_text(pairs)), deadline);
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

void NcclLanes::close(Deadline deadline) {
  rank_.use();
  for (Lane lane = 1; lane <= communicators_.size(); ++lane) {
    settle(lane, ncclCommFinalize(communicators_[lane - 1u]), "parting", deadline);
    check(ncclCommDestroy(std::exchange(communicators_[lane - 1u], nullptr)), "destroying a communicator");
  }
}

/// As a group: a lane's abort may wait for the device, and so for what another lane's stuck kernel does.
void NcclLanes::abort() {
  if (std::ranges::all_of(communicators_, [](ncclComm_t c) { return c == nullptr; })) return;
  (void)ncclGroupStart();
  for (ncclComm_t& c : communicators_)
    if (c != nullptr) (void)ncclCommAbort(std::exchange(c, nullptr));
  (void)ncclGroupEnd();
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
