// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Handler} from "./Handler.sol";

interface CountsVm {
    function envOr(string calldata name, string calldata fallback_) external view returns (string memory);
    function writeLine(string calldata path, string calldata data) external;
    function toString(uint256 value) external pure returns (string memory);
    function assertGe(uint256 left, uint256 right, string calldata why) external pure;
}

/// @title How often each action must have succeeded in a run, so that no run passes by doing nothing
/// @dev `Row(action, N)`: at least N times in 10,000 calls, in every run that is long enough to tell (see `SHORT`, `RARE`).
/// With QUORATE_COUNTS naming a file, the counts of every run are added to it (tools/deep.py).
library Counts {
    CountsVm private constant vm = CountsVm(address(uint160(uint256(keccak256("hevm cheat code")))));
    /// @dev Shorter runs say nothing about frequencies: those of a shrinking failure.
    uint256 private constant SHORT = 1_000;
    /// @dev Fewer than these due in a run and none of them is luck: longer runs ask for it, or `requireEach`.
    uint256 private constant RARE = 5;

    struct Row {
        string action;
        uint256 least;
    }

    function report(Handler handler) internal {
        uint256 calls = handler.calls();
        string memory line = string.concat("calls=", vm.toString(calls));
        Row[] memory rows = _rows();
        for (uint256 i; i < rows.length; ++i) {
            uint256 done = handler.done(rows[i].action);
            line = string.concat(line, ";", rows[i].action, "=", vm.toString(done));
        }
        string memory path = vm.envOr("QUORATE_COUNTS", string(""));
        if (bytes(path).length != 0) vm.writeLine(path, line);
        for (uint256 i; i < rows.length && calls >= SHORT; ++i) {
            uint256 due = calls * rows[i].least / 10_000;
            if (due < RARE) continue;
            vm.assertGe(handler.done(rows[i].action), due, string.concat("too seldom: ", rows[i].action));
        }
    }

    /// @dev Every action at least so often.
    function requireEach(Handler handler, uint256 least) internal view {
        Row[] memory rows = _rows();
        for (uint256 i; i < rows.length; ++i) {
            vm.assertGe(handler.done(rows[i].action), least, string.concat("too seldom: ", rows[i].action));
        }
    }

    /// @dev Invariant 18: whatever is not new work went through while the market was paused, so often at least.
    function requirePaused(Handler handler, uint256 least) internal view {
        string[18] memory going = [
            "recordSeed",
            "commit",
            "turn",
            "reveal",
            "settle",
            "settle of a case, right",
            "claim",
            "appeal of a wrong answer",
            "resolve: upheld",
            "resolve: overturned",
            "closeCase",
            "close",
            "cancel",
            "reportWrong",
            "reportUnrevealed",
            "reportAbsent",
            "withdraw",
            "withdrawStake"
        ];
        for (uint256 i; i < going.length; ++i) {
            vm.assertGe(handler.donePaused(going[i]), least, string.concat("too seldom while paused: ", going[i]));
        }
    }

    function _rows() private pure returns (Row[] memory t) {
        t = new Row[](69);
        t[0] = Row("post", 100);
        t[1] = Row("post refused by pause", 0);
        t[2] = Row("post refused by pool", 0);
        t[3] = Row("cancel", 0);
        t[4] = Row("close", 90);
        t[5] = Row("recordSeed", 200);
        t[6] = Row("commit", 850);
        t[7] = Row("turn", 100);
        t[8] = Row("reveal", 850);
        t[9] = Row("reveal on the last epoch", 60);
        t[10] = Row("settle", 70);
        t[11] = Row("settle of a wrong majority", 40);
        t[12] = Row("settle of many", 20);
        t[13] = Row("settle that leaves a member out", 0);
        t[14] = Row("settle of a case, right", 0);
        t[15] = Row("settle of a case, wrong", 0);
        t[16] = Row("claim", 0);
        t[17] = Row("claim of a judge", 0);
        t[18] = Row("claim after an overturn", 0);
        t[19] = Row("appeal of a wrong answer", 0);
        t[20] = Row("appeal of a right answer", 0);
        t[21] = Row("resolve: upheld", 0);
        t[22] = Row("resolve: upheld though wrong", 0);
        t[23] = Row("resolve: overturned", 0);
        t[24] = Row("resolve: overturned by a captured court", 0);
        t[25] = Row("resolve without verdict", 20);
        t[26] = Row("closeCase", 0);
        t[27] = Row("reportWrong", 20);
        t[28] = Row("reportWrong of another attempt", 0);
        t[29] = Row("reportWrong by a captured court", 0);
        t[30] = Row("reportUnrevealed", 20);
        t[31] = Row("reportUnrevealed a ring later", 0);
        t[32] = Row("reportAbsent", 0);
        t[33] = Row("takeSeats", 0);
        t[34] = Row("leaveSeats", 0);
        t[35] = Row("leaveSeats, all", 0);
        t[36] = Row("addStake", 50);
        t[37] = Row("unbondExcess", 0);
        t[38] = Row("replaceKey", 0);
        t[39] = Row("pauseNode", 0);
        t[40] = Row("resumeNode", 50);
        t[41] = Row("relocate", 0);
        t[42] = Row("register", 0);
        t[43] = Row("seats ended by a pause", 0);
        t[44] = Row("pauses on and off", 20);
        t[45] = Row("setProtocolFee", 20);
        t[46] = Row("pause or unpause the market", 60);
        t[47] = Row("pause or unpause the registry", 20);
        t[48] = Row("tunePool", 60);
        t[49] = Row("withdraw", 70);
        t[50] = Row("collect", 40);
        t[51] = Row("withdrawStake", 0);
        t[52] = Row("collectReward", 30);
        t[53] = Row("donate", 30);
        t[54] = Row("settle refused", 0);
        t[55] = Row("claim refused", 20);
        t[56] = Row("close refused", 0);
        t[57] = Row("appeal refused", 0);
        t[58] = Row("resolve refused", 0);
        t[59] = Row("reportWrong refused", 0);
        t[60] = Row("reportUnrevealed refused", 0);
        t[61] = Row("reportAbsent refused", 20);
        t[62] = Row("commit refused", 40);
        t[63] = Row("reveal refused", 0);
        t[64] = Row("withdrawStake refused", 0);
        t[65] = Row("wealth watched", 300);
        t[66] = Row("time passes", 550);
        t[67] = Row("an epoch begins", 800);
        t[68] = Row("reportWrong after the accuser's turn", 0);
    }
}
