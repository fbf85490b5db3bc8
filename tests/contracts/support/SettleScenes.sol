// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobMarket} from "../../../contracts/interfaces/IJobMarket.sol";
import {JobId, NodeId} from "../../../contracts/interfaces/Types.sol";
import {Scenes} from "./Scenes.sol";
import {SettleCalls} from "./SettleCalls.sol";

/// @title One shard for three nodes, ready to play
abstract contract SettleScenes is Scenes {
    uint256 internal constant PAY = 12_000;

    JobId internal job;
    Answer internal answer;

    function setUp() public override {
        super.setUp();
        _cast(3);
        job = _post(_spec());
        answer = _answer(job, 0, 0);
    }

    function _refused(SettleCalls.Call memory plan, bytes memory reason) internal {
        vm.expectRevert(reason);
        market.settle(plan.entries, plan.lanes, plan.openings, NodeId.wrap(0));
        assertFalse(market.isSettled(job, 0), "not settled");
    }

    function _noQuorum(uint8 actual) internal view returns (bytes memory) {
        return abi.encodeWithSelector(IJobMarket.NoQuorum.selector, job, 0, 2, actual);
    }

    /// @dev Lanes of these slots only.
    function _lanesOfSlots(uint256 bits) internal view returns (uint256[] memory lanes) {
        uint256[] memory all = _lanesOf(_one(answer));
        uint256[] memory pairs = _pairs(answer);
        lanes = new uint256[](_ones(bits));
        uint256 count;
        for (uint256 i; i < all.length; ++i) {
            for (uint256 s; s < pairs.length; ++s) {
                if (pairs[s] == all[i] && bits >> s & 1 == 1) lanes[count++] = all[i];
            }
        }
    }
}
