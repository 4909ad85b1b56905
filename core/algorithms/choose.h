#pragma once

#include <optional>
#include <vector>

#include "core/algorithms/algorithm.h"

/// How the files of the catalogue read options and list variants.
namespace meshattn {

/// The tile of an algorithm that leaves none to choose. @throws InvalidOption if another one is given than this one or,
/// where there is one, `other`.
[[nodiscard]] Tile fixed_tile(const FormRequest& request, Tile tile, std::optional<Tile> other = {});

/// The tile that is given for the pass. @throws InvalidOption if none is, or none of `possible` slots' tiles.
[[nodiscard]] Tile given_tile(const FormRequest& request, const std::vector<Tile>& possible);

/// Ranks that share out the heads. @throws InvalidOption if they are not given, or do not divide the ranks.
[[nodiscard]] int given_ulysses(const FormRequest& request);

/// Slots of an inner ring in a ring of `length` slots: as given, else those of a node.
/// @throws InvalidOption if they do not make up the ring, or the ring fits a node.
[[nodiscard]] int inner_of(const FormRequest& request, int length);

/// How chunks travel: as given, else from neighbour to neighbour.
[[nodiscard]] Travel exchange_of(const FormRequest& request);

/// `given` with every tile of `slots` slots that has more than one row, which would be a ring; as it is if it has a
/// tile.
[[nodiscard]] std::vector<Options> with_each_tile(const Options& given, int slots);

/// `given` with every number of ranks that may share out the heads, one and all of them aside, which are other
/// algorithms; as it is if it has a number.
[[nodiscard]] std::vector<Options> with_each_ulysses(const Problem& problem, const Options& given);

}  // namespace meshattn
