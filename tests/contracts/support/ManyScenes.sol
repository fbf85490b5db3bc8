// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IJobMarket} from "../../../contracts/interfaces/IJobMarket.sol";
import {JobId, NodeId} from "../../../contracts/interfaces/Types.sol";
import {Scenes} from "./Scenes.sol";
import {SettleCalls} from "./SettleCalls.sol";

/// @title Several shards for three nodes
abstract contract ManyScenes is Scenes {
    uint256 internal constant PAY = 12_000;

    function setUp() public override {
        super.setUp();
        _cast(3);
    }

    function _jobOf(uint32 tasks, uint8 committee, uint16 pace) internal returns (JobId) {
        IJobMarket.JobSpec memory spec = _spec();
        (spec.tasks, spec.committee, spec.quorum, spec.pace) = (tasks, committee, committee / 2 + 1, pace);
        return _post(spec);
    }

    /// @dev Two jobs of two shards each, played: batches of four leaves or fewer.
    function _four() internal returns (Answer[] memory answers) {
        answers = _join(_answers(_jobOf(2, 3, 2), 0, 2), _answers(_jobOf(2, 2, 2), 0, 2));
        _play(answers);
    }

    function _refused(SettleCalls.Call memory plan, bytes memory reason) internal {
        vm.expectRevert(reason);
        market.settle(plan.entries, plan.lanes, plan.openings, NodeId.wrap(0));
    }

    function _malformed(string memory part, uint256 index) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IJobMarket.MalformedCall.selector, part, index);
    }

    function _paid() internal view returns (uint256 total) {
        for (uint256 n = 1; n <= 3; ++n) {
            total += _matured(_node(n));
        }
    }

    function _slotsPaid(Answer[] memory answers) internal view returns (uint16[] memory paid) {
        paid = new uint16[](answers.length);
        for (uint256 i; i < answers.length; ++i) {
            paid[i] = _paidSlots(answers[i]);
        }
    }

    /// @dev Fails if the call succeeds, panics, or reverts without a reason.
    function _expectNamedError(SettleCalls.Call memory plan) internal {
        try market.settle(plan.entries, plan.lanes, plan.openings, NodeId.wrap(0)) {
            assertTrue(false, "a broken call was accepted");
        } catch (bytes memory reason) {
            _assertNamed(reason);
        }
    }

    function _assertNamed(bytes memory reason) internal pure {
        assertTrue(reason.length >= 4, "a reason is given");
        assertTrue(bytes4(reason) != bytes4(0x4e487b71), "not a panic");
    }
}
