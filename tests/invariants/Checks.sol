// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICourt} from "../../contracts/interfaces/ICourt.sol";
import {INodeRegistry} from "../../contracts/interfaces/INodeRegistry.sol";
import {ShardStatus} from "../../contracts/interfaces/Types.sol";
import {PlainTrees} from "../contracts/support/PlainTrees.sol";
import {Cases} from "./Cases.sol";

/// @title The invariants of protocol section 12, checked against what the handler remembers
/// @dev Money and stake in full after every call; of shards, nodes and batches those that the last call touched, and one
/// more each by turns.
abstract contract Checks is Cases {
    uint256 public lowered;

    function _somePiece() private view returns (uint256) {
        if (lastPiece != 0) return lastPiece;
        return live.length == 0 ? 0 : live[calls % live.length];
    }

    function _someNode() private view returns (uint256) {
        return lastNode != 0 ? lastNode : 1 + calls % nodes;
    }

    // --- money ----------------------------------------------------------------------------------------------------

    function check01() public view {
        uint256 balance = payToken.balanceOf(address(market));
        assertEq(balance, marketOwes() + donated, "invariant 1: the market has what it owes, and donations");
        assertEq(balance, inMarket + donated, "invariant 1: by our own books, too");
        uint256 staked = stakeToken.balanceOf(address(registry));
        assertEq(staked, registryOwes() + stakeDonated, "invariant 1: the registry has stake, unbonding and rewards");
    }

    /// @dev Nothing is made; only the penalties' nine tenths are destroyed; the Court keeps nothing between calls.
    function check15() public view {
        uint256 all = payToken.balanceOf(address(market));
        for (uint256 i; i < accounts.length; ++i) {
            all += payToken.balanceOf(accounts[i]);
        }
        assertEq(all, payToken.totalSupply(), "invariant 15: the group of everybody has what it had");
        assertEq(stakeToken.totalSupply(), SUPPLY - burnedStake, "invariant 15: only penalties are burned");
        assertEq(market.owedTo(address(court)), 0, "the Court keeps nothing");
        assertEq(payToken.balanceOf(address(court)), 0, "and holds nothing");
    }

    function check02() public view {
        uint256 number = _somePiece();
        if (number == 0) return;
        uint256 job = pieces[number].job;
        assertEq(market.jobView(_job(job)).held, _heldOf(job), "invariant 2: in = paid + fees + refunded + held");
        uint256 caseAt = pieces[number].caseAt;
        if (caseAt == 0) return;
        job = pieces[caseAt].job;
        assertEq(market.jobView(_job(job)).held, _heldOf(job), "invariant 2: so of its case");
    }

    function check19() public view {
        assertEq(splitIn, splitOut, "invariant 19: a settlement gives what it takes");
        uint256 node = _someNode();
        (uint256 matured, uint256 maturing) = market.earningsOf(_node(node));
        assertEq(matured, _matured(node), "invariant 19: a node has its parts");
        assertEq(maturing, _waits(node), "invariant 19: and waits for its parts");
        address account = accounts[calls % accounts.length];
        assertEq(market.owedTo(account), owed[account], "invariant 19: so has everybody else");
    }

    /// @dev Verdicts and proven faults aside.
    function check14() public view {
        assertEq(lowered, 0, "invariant 14: nobody else lowers a claim");
    }

    // --- shards ---------------------------------------------------------------------------------------------------

    /// @dev A settlement stands, its receipt with it, and what is final stays as it is.
    function check03() public view {
        uint256 number = _somePiece();
        if (number == 0) return;
        Piece storage p = pieces[number];
        assertEq(market.isSettled(_job(p.job), p.shard), p.settled, "invariant 3: settled once, for ever");
        if (!p.settled) return;
        ShardStatus status = market.shardStatus(_job(p.job), p.shard, _receiptOf(p));
        assertEq(uint256(status), uint256(_statusOf(p)), "invariant 3: final once, for ever");
        assertTrue(_bits(p.paid | p.claimed) <= p.committee, "invariant 3: a slot is paid once");
        if (p.caseAt == 0) return;
        ICourt.CaseView memory v = court.caseOf(_job(p.job), p.shard);
        assertEq(v.verdict, p.verdict, "invariant 3: a verdict stands");
        assertEq(v.settledRoot, p.root, "invariant 3: so does what was appealed");
        assertEq(v.accuserDue, p.accuserDue, "the accuser is whole first");
        assertEq(v.requesterDue, p.requesterDue, "then the requester");
    }

    function _statusOf(Piece storage p) private view returns (ShardStatus) {
        if (p.appealEpochs == 0 || p.ended != 0) return ShardStatus.FINAL;
        if (p.caseAt == 0) {
            return _now() > uint256(p.settledAt) + p.appealEpochs ? ShardStatus.FINAL : ShardStatus.SETTLED;
        }
        Piece storage c = pieces[p.caseAt];
        return c.settled || _now() <= _lastAt(c) ? ShardStatus.APPEALED : ShardStatus.CONTESTED;
    }

    /// @dev Every paid slot sealed that very root for that very attempt, in its epoch, and opened it later.
    function check04() public view {
        uint256 number = _somePiece();
        if (number == 0 || !pieces[number].settled) return;
        Piece storage p = pieces[number];
        assertGe(_bits(p.paid), p.quorum, "invariant 4: a quorum of one attempt");
        assertEq(_matching(p, p.attempt, p.root) & p.paid, p.paid, "invariant 4: of equal openings");
        assertTrue(2 * uint256(p.quorum) > p.committee, "invariant 4: more than half");
    }

    /// @dev Unsettled shards move on by the clock alone.
    function check11() public view {
        uint256 number = _somePiece();
        if (number == 0 || pieces[number].settled || pieces[number].gone) return;
        Piece storage p = pieces[number];
        ShardStatus expected = ShardStatus.SCHEDULED;
        if (_now() > _lastAt(p)) {
            expected = ShardStatus.EXPIRED;
        } else if (_now() >= p.first) {
            uint256 phase = (_now() - p.first) % (uint256(p.work) + 2);
            if (_now() >= _startAt(p, p.attempts)) expected = ShardStatus.SETTLEABLE;
            else if (phase < p.work) expected = ShardStatus.WORKING;
            else expected = phase == p.work ? ShardStatus.REVEALING : ShardStatus.SETTLING;
        }
        ShardStatus status = market.shardStatus(_job(p.job), p.shard);
        assertEq(uint256(status), uint256(expected), "invariant 11: from every state the clock leads on");
    }

    // --- stake ----------------------------------------------------------------------------------------------------

    function check05() public view {
        uint256 node = _someNode();
        Estate storage e = estates[node];
        INodeRegistry.NodeView memory v = registry.nodeView(_node(node));
        assertEq(uint256(v.stake), e.stake, "invariant 5: stake is what came in, less penalties and exits");
        uint256 left = uint256(v.stake) + v.unbonding;
        assertEq(left + e.slashed + e.withdrawn, e.deposited, "invariant 5: no penalty takes more than there is");
    }

    function check06() public view {
        uint256 node = _someNode();
        INodeRegistry.NodeView memory v = registry.nodeView(_node(node));
        assertEq(uint256(v.unbonding), estates[node].unbonding, "invariant 6: what is leaving pays, and first");
        assertEq(uint256(v.unlockEpoch), estates[node].unlock, "invariant 6: and waits its time");
        assertEq(v.seats.length, estates[node].seats, "a node has its seats");
    }

    function check10() public view {
        for (uint256 n = 1; n <= HONEST; ++n) {
            assertEq(
                estates[n].slashed, estates[n].courtLoss, "invariant 10: the honest lose nothing but to captured courts"
            );
            INodeRegistry.NodeView memory v = registry.nodeView(_node(n));
            uint256 left = uint256(v.stake) + v.unbonding + estates[n].withdrawn + estates[n].courtLoss;
            assertEq(left, estates[n].deposited, "invariant 10: by the registry, too");
        }
    }

    // --- batches and draws ----------------------------------------------------------------------------------------

    /// @dev An opened lane holds the root of the batch that was sealed, one answer a shard.
    function check07() public view {
        if (lastLane == 0 || laneOf[lastLane] != Lane.OPENED) return;
        uint256 word = _lane(_node(lastLane >> 32), uint32(lastLane));
        assertEq(word >> 224, uint32(lastLane), "invariant 7: its epoch");
        bytes32[] memory hashes = _leafHashes(lastLane);
        bytes32 root = PlainTrees.batchRoot(hashes);
        assertEq(uint216(word), uint216(bytes27(root)), "invariant 7: opens to what was sealed");
        uint256[] storage keys = todo[lastLane];
        for (uint256 i = 1; i < keys.length; ++i) {
            assertTrue(keys[i - 1] < keys[i], "invariant 7: one answer a shard");
        }
    }

    /// @dev No lane was opened in the epoch of its commit; only such openings were ever paid.
    function check08() public view {
        if (lastLane == 0 || laneOf[lastLane] != Lane.OPENED) return;
        uint256 delay = (_lane(_node(lastLane >> 32), uint32(lastLane)) >> 216) & 0x0f;
        assertEq(delay, delayOf[lastLane], "invariant 8: the lane says how late it was opened");
        assertTrue(delay >= 1 && delay <= GRACE, "invariant 8: after its epoch, within the grace");
    }

    /// @dev A sealed lane that nobody has punished is still there; nothing has been written over it.
    function check09() public view {
        for (uint256 i; i < neverOpened.length && i < 4; ++i) {
            uint256 lane = neverOpened[(calls + i) % neverOpened.length];
            uint256 word = _lane(_node(lane >> 32), uint32(lane));
            assertEq(word >> 216, uint256(uint32(lane)) << 8, "invariant 9: sealed until it is punished");
        }
    }

    /// @dev The draw of any attempt, asked again while it is in the ring.
    function check16() public view {
        uint256 number = _somePiece();
        if (number == 0) return;
        Piece storage p = pieces[number];
        for (uint256 a; a < p.drawn; ++a) {
            uint256 start = _startAt(p, a);
            if (_isInReach(p, a)) assertEq(_redraw(p, start), p.slots[a], "invariant 16: a past draw never changes");
        }
    }

    /// @dev Every member held a seat by the time the seed was foreseeable; judges before the appealed attempt, and none
    /// of them sat on its committee; nobody sits twice.
    function check17() public view {
        uint256 number = _somePiece();
        if (number == 0 || pieces[number].drawn == 0) return;
        Piece storage p = pieces[number];
        uint256 a = calls % p.drawn;
        Piece storage about = pieces[p.about];
        for (uint256 i; i < p.committee; ++i) {
            uint256 node = _slot(p.slots[a], i);
            if (node == 0) continue;
            uint256 from = firstSeat[node];
            assertLe(from, _startAt(p, a), "invariant 17: nobody who came after the seed");
            if (p.isCase) {
                assertLt(from, _startAt(about, about.attempt), "invariant 17: judges came before the attempt");
            }
            for (uint256 k; k < i; ++k) {
                assertNotEq(_slot(p.slots[a], k), node, "a committee has distinct nodes");
            }
            for (uint256 k; p.isCase && k < about.committee; ++k) {
                assertNotEq(_slot(about.slots[about.attempt], k), node, "no judge in his own case");
            }
        }
    }

    function check18() public view {
        assertEq(market.paused(), paused, "invariant 18: paused by its governor alone");
        assertEq(registry.paused(), registryPaused, "invariant 18: so is the registry");
    }

    function checkAll() external view {
        check01();
        check15();
        check02();
        check19();
        check14();
        check03();
        check04();
        check11();
        check05();
        check06();
        check10();
        check07();
        check08();
        check09();
        check16();
        check17();
        check18();
    }
}
