#include "core/algorithms/mesh_form.h"

#include <spdlog/fmt/fmt.h>

#include "core/base/error.h"

namespace meshattn {

HeadRange MeshForm::heads(const AttentionShape& shape, Rank r, int slice, Tensor tensor) const {
  const int width = shape.heads / (ulysses * slices);
  const int begin = (r % ulysses * slices + slice) * width, end = begin + width;
  if (!on_kv_side(tensor)) return {begin, end};
  return {begin / shape.group(), (end + shape.group() - 1) / shape.group()};
}

Grid linear_grid(const MeshForm& form, int gpus_per_node) {
  const auto [a, b] = form.tile;
  const int slots = gpus_per_node / form.ulysses;
  if (slots < 1 || slots * form.ulysses != gpus_per_node) return {1, 1};
  if (a % slots == 0) return {slots, 1};
  if (slots % a == 0 && b % (slots / a) == 0) return {a, slots / a};
  return {1, 1};
}

bool fits_heads(const MeshForm& form, const AttentionShape& shape) {
  const int shares = form.ulysses * form.slices;
  return shape.heads % shares == 0 &&
         (shape.kv_heads % shares == 0 || (form.slices == 1 && shares % shape.kv_heads == 0));
}

namespace {

void check_heads(const MeshForm& form, const AttentionShape& shape) {
  if (fits_heads(form, shape)) return;
  const int shares = form.ulysses * form.slices;
  const std::string among =
      form.slices == 1
          ? fmt::format("{} ranks", shares)
          : fmt::format("{} slices{}", shares,
                        form.ulysses > 1 ? fmt::format(", {} on each of {} ranks", form.slices, form.ulysses) : "");
  if (shape.heads % shares != 0)
    throw InvalidInput(fmt::format("{} heads cannot be shared out evenly among {}", shape.heads, among));
  if (form.slices > 1)
    throw InvalidInput(fmt::format("{} kv-heads cannot be shared out evenly among {}", shape.kv_heads, among));
  throw InvalidInput(fmt::format("{} kv-heads can neither be shared out evenly among {} ranks nor replicated evenly",
                                 shape.kv_heads, shares));
}

void check_segments(const MeshForm& form) {
  if (form.inner == 0) return;
  const int length = std::max(form.tile.rows, form.tile.columns);
  if (std::min(form.tile.rows, form.tile.columns) != 1)
    throw InvalidInput(
        fmt::format("a double ring is a tile of one row or column, not {}x{}", form.tile.rows, form.tile.columns));
  if (form.inner < 0 || length % form.inner != 0)
    throw InvalidInput(fmt::format("inner rings of {} do not make up a ring of {}", form.inner, length));
}

}  // namespace

void check(const MeshForm& form, const Problem& problem) {
  const auto [a, b] = form.tile;
  if (a < 1 || b < 1 || form.ulysses < 1 || form.slices < 1 || form.ranks() != problem.ranks)
    throw InvalidInput(fmt::format("tile {}x{} with {} ranks in a slot is for {} ranks, not {}", a, b, form.ulysses,
                                   form.ranks(), problem.ranks));
  if (form.node.rows < 1 || form.node.columns < 1 || a % form.node.rows != 0 || b % form.node.columns != 0)
    throw InvalidInput(
        fmt::format("{}x{} slots of a node do not divide tile {}x{}", form.node.rows, form.node.columns, a, b));
  constexpr int kMostLanes = 250;  // a Lane is a byte
  if (form.slices * form.lanes_of_slice() > kMostLanes)
    throw InvalidInput(fmt::format("{} slices take more than {} lanes", form.slices, kMostLanes));
  check_heads(form, problem.shape);
  check_segments(form);
}

namespace {

std::vector<TileStep> gathered_steps(const Tile& tile, Pass pass) {
  std::vector<TileStep> steps(static_cast<std::size_t>(tile.rows - 1), Hop::kRowIn);
  steps.insert(steps.end(), static_cast<std::size_t>(tile.columns - 1), Hop::kColumnIn);
  steps.emplace_back(Rectangle{0, tile.rows, 0, tile.columns});
  steps.insert(steps.end(), static_cast<std::size_t>(tile.rows - 1), Hop::kRowOut);
  if (pass == Pass::kBackward) steps.insert(steps.end(), static_cast<std::size_t>(tile.columns - 1), Hop::kColumnOut);
  return steps;
}

/// Each segment's blocks while the next hops move; partials leave as soon as they are complete.
std::vector<TileStep> ring_steps(const MeshForm& form, Pass pass) {
  const bool rows = form.tile.columns == 1;
  const int length = std::max(form.tile.rows, form.tile.columns), inner = form.inner == 0 ? length : form.inner;
  const bool leaves = rows || pass == Pass::kBackward;
  const Hop in = rows ? Hop::kRowIn : Hop::kColumnIn, out = rows ? Hop::kRowOut : Hop::kColumnOut;
  std::vector<TileStep> steps;
  for (int s = 0; s < length; ++s) {
    const int index = s % inner;                                   // in the segment
    if (index == 0 && s + inner < length) steps.emplace_back(in);  // on to the next segment
    if (index + 1 < inner) steps.emplace_back(in);
    steps.emplace_back(rows ? Rectangle{s, s + 1, 0, 1} : Rectangle{0, 1, s, s + 1});
    if (!leaves) continue;
    if (index > 0 || (form.starts_at_owner && length > 1)) steps.emplace_back(out);
    if (index == inner - 1 && s >= inner) steps.emplace_back(out);  // the segment's partial
  }
  return steps;
}

}  // namespace

std::vector<TileStep> fixed_steps(const MeshForm& form, Pass pass) {
  switch (form.steps) {
    case Steps::kPlanned:
      break;
    case Steps::kGathered:
      return gathered_steps(form.tile, pass);
    case Steps::kRing:
      return ring_steps(form, pass);
    case Steps::kOwn:
      return {};
  }
  throw InvalidInput("the steps of this form are to be planned");
}

double transfers_to_rank(const MeshForm& form, Pass pass) {
  const bool backward = pass == Pass::kBackward;
  const double u = form.ulysses;
  // A hop brings what each rank of a slot has of a tensor, Q (backward Q, dO, delta) or KV, and one partial.
  const double to_slice =
      (form.tile.rows - 1) * ((backward ? 3 : 1) * u + 1) + (form.tile.columns - 1) * (u + (backward ? 1 : 0));
  // All-to-all: Q and KV in and O of each slice out, or dO in, dQ and dKV out.
  return form.slices * to_slice + (u - 1) * (backward ? 1.0 + 2 * form.slices : 2.0 + form.slices);
}

std::string form_text(const MeshForm& form) {
  std::string text = tile_text(form.tile);
  if (form.ulysses > 1) text = fmt::format("{} x {}", form.ulysses, text);
  if (form.inner > 0) text += fmt::format(", inner {}", form.inner);
  if (form.in == Travel::kDirect) text += ", direct";
  if (form.slices > 1) text += fmt::format(", {} slices", form.slices);
  return text;
}

}  // namespace meshattn
