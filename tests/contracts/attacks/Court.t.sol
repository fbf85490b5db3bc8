// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {INodeRegistry} from "../../../contracts/interfaces/INodeRegistry.sol";
import {IJobMarket} from "../../../contracts/interfaces/IJobMarket.sol";
import {NodeId, ShardStatus} from "../../../contracts/interfaces/Types.sol";
import {CourtScenes} from "../support/CourtScenes.sol";

// attacks on the Court, each with what it earns
// ├── many fresh seats after the settlement, which may not judge: they do not thin out those who may
// ├── a verdict nobody can mean: judges that agree on the zero root are a verdict like any other
// └── the dearest shard that any pool takes has a bond that fits
contract CourtAttackTest is CourtScenes {
    /// @dev A requester who can pay anything.
    function _payToken() internal override returns (address) {
        return address(_newStablecoin(requester, type(uint128).max));
    }

    /// @dev Two hundred seats of a friend against ten old ones.
    function _flood() private {
        for (uint256 i; i < 50; ++i) {
            _register(rival, 4);
        }
    }

    function test_attack__freshSeatsAfterTheSettlement__doNotEmptyTheCourt() public {
        _lieSettled();
        _appeal();
        _flood();
        _rollTo(_counting() + 1, 2);
        uint256 short;
        for (uint256 k; k < 100; ++k) {
            uint256[] memory judges = _draw(keccak256(abi.encode(k)), _id(caseJob), 0, _epoch(), pool, 5, true);
            if (judges[3] == 0) ++short;
        }
        assertEq(short, 0, "every draw finds a court");
    }

    function test_attack__judgesAgreeOnTheZeroRoot__isAVerdictLikeAnyOther() public {
        _settled(_spec(), _mix(3, 3, LIE, LIE), LIE, 2); // slot 1 is left out
        _appeal();
        uint256 commitEpoch = _commitEpochOf(_id(caseJob), 0, 0);
        _rollTo(commitEpoch, 2);
        uint256[] memory slots = _committee(_id(caseJob), 0, 0);
        for (uint256 i; i < 5; ++i) {
            _commit(_node(slots[i]), _leaf(_id(caseJob), 0, 0));
        }
        _rollTo(commitEpoch + 1, 2);
        for (uint256 i; i < 5; ++i) {
            _reveal(_node(slots[i]), commitEpoch);
        }
        _recordSeed(commitEpoch);
        (verdict, verdictReceipt) = _settleAs(caseJob, 0, 0, 0, 0);
        _resolve();
        _assertCase(ShardStatus.FINAL, 0, _epoch(), "overturned");
        NodeId leftOut = _seat(1);
        bytes memory opening = _ownOpening(job, SHARD, 0, LIE, leftOut);
        vm.expectRevert(
            abi.encodeWithSelector(
                IJobMarket.WrongOpening.selector, leftOut, uint32(_commitEpochOf(_id(job), SHARD, 0))
            )
        );
        market.claim(job, SHARD, receipt, 1, opening);
    }

    function test_attack__dearestShardOfAnyPool__canBeAppealed() public {
        INodeRegistry.PoolTerms memory terms = _terms();
        terms.maxShardPay = type(uint88).max / 17; // more is refused by the registry
        vm.prank(owner);
        registry.tunePool(pool, terms);
        IJobMarket.JobSpec memory spec = _spec();
        (spec.tasks, spec.shardSize, spec.committee, spec.quorum, spec.pace) = (1, 1, 1, 1, 0);
        (spec.units, spec.unitPrice) = (1, type(uint64).max);
        spec.units = uint32(terms.maxShardPay / spec.unitPrice);
        assertLe(court.bondOf(_post(spec), 0), type(uint88).max, "the bond fits");
    }
}
