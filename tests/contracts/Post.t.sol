// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {IJobMarket} from "../../contracts/interfaces/IJobMarket.sol";
import {INodeRegistry} from "../../contracts/interfaces/INodeRegistry.sol";
import {AnswerClass, JobId, PoolId} from "../../contracts/interfaces/Types.sol";
import {Scenes} from "./support/Scenes.sol";

// post
// ├── stores what was asked, pulls exactly the quote, says so in one event
// │   ├── before the lead of the next epoch: postEpoch is the running one
// │   ├── from the lead on: postEpoch is the next
// │   ├── pace 0: twice the seats over the committee, rounded down
// │   └── a protocol fee is set: the job keeps it, whatever it is later
// ├── refuses, each with what was expected and what came
// │   ├── class INT, TOLERANT, OPAQUE
// │   ├── appealEpochs without a court
// │   ├── tasks, shardSize, committee, quorum, work, maxAttempts, units, price, pace, epochs of shards, escrow
// │   │   └── under the least, over the most (the edges themselves are accepted)
// │   ├── a life that does not fit the ring (edges)
// │   ├── a committee larger than the distinct nodes that are not paused
// │   ├── a price under the floor, a shard's pay over the pool's most (edges)
// │   ├── a pool that is closed or unknown
// │   ├── a paused market; from anyone but its pauser, pausing
// │   └── a caller without allowance or without balance
// └── any spec: refused with nothing moved, or the escrow is held to the unit
// announce
// └── says the endpoint of the caller
contract PostTest is Scenes {
    function setUp() public override {
        super.setUp();
        _cast(3);
    }

    function _refused(IJobMarket.JobSpec memory spec, bytes memory reason) private {
        uint256 balance = payToken.balanceOf(requester);
        vm.prank(requester);
        vm.expectRevert(reason);
        market.post(spec);
        assertEq(payToken.balanceOf(requester), balance, "a refused post moves nothing");
        assertEq(market.jobCount(), 0, "a refused post makes no job");
    }

    function _outOfRange(IJobMarket.JobSpec memory spec, string memory field, uint256 min, uint256 max, uint256 actual)
        private
    {
        _refused(spec, abi.encodeWithSelector(IJobMarket.OutOfRange.selector, field, min, max, actual));
    }

    /// @dev One pool of big numbers: no floor to speak of, pay up to what a job can say.
    function _bigPool() private returns (PoolId big) {
        big = PoolId.wrap(2);
        vm.prank(owner);
        registry.createPool(big, INodeRegistry.PoolTerms(1, 1, type(uint88).max / 17, 4, true));
        for (uint256 i; i < 3; ++i) {
            _register(big, operator, 1);
        }
    }

    // --- what is stored -------------------------------------------------------------------------------------------

    function test_post__valid__storesAndPullsTheQuote() public {
        IJobMarket.JobSpec memory spec = _spec();
        (spec.tasks, spec.shardSize, spec.pace, spec.work, spec.maxAttempts) = (100, 9, 1, 2, 4);
        uint256 quote = market.quoteEscrow(spec);
        assertEq(quote, 3 * 100 * 12_000 + 3 * 100 * 12_000 / 100, "gross and one percent");
        uint256 before = payToken.balanceOf(requester);
        uint256 postEpoch = _counting();
        uint256 word = uint256(12_000) << 168 | uint256(100) << 136 | uint256(9) << 112 | postEpoch << 80 | uint256(1)
            << 64 | uint256(1) << 48 | uint256(3) << 40 | uint256(2) << 32 | uint256(2) << 24 | uint256(4) << 16;
        vm.expectEmit(true, true, true, true, address(market));
        emit IJobMarket.JobPosted(_job(1), requester, spec.manifest, word, 12, 1_000);
        JobId job = _post(spec);

        assertEq(_id(job), 1, "first job");
        assertEq(market.jobCount(), 1, "count");
        assertEq(before - payToken.balanceOf(requester), quote, "pulled");
        assertEq(payToken.balanceOf(address(market)), quote, "held in tokens");
        IJobMarket.JobView memory v = market.jobView(job);
        assertEq(v.requester, requester, "requester");
        assertEq(PoolId.unwrap(v.pool), 1, "pool");
        assertEq(uint256(v.class), uint256(AnswerClass.EXACT), "class");
        assertEq(v.tasks, 100, "tasks");
        assertEq(v.shardSize, 9, "shard size");
        assertEq(v.postEpoch, postEpoch, "post epoch");
        assertEq(v.pace, 1, "pace");
        assertEq(uint256(v.committee) << 8 | v.quorum, 0x0302, "committee and quorum");
        assertEq(uint256(v.work) << 8 | v.maxAttempts, 0x0204, "work and attempts");
        assertEq(v.taskPrice, 12_000, "price");
        assertEq(v.held, quote, "held");
        assertEq(v.protocolFeeBps, 0, "no protocol fee");
        // 12 shards, one an epoch: the last starts in postEpoch + 12; four attempts of 4 epochs, grace 8, report 4.
        assertEq(v.closableFrom, postEpoch + 12 + 16 - 1 + 8 + 4 + 1, "closable");
    }

    function test_post__aroundTheLead__countsForRunningOrNextEpoch() public {
        uint256 epoch = _epoch() + 1;
        _rollTo(epoch, shape.epochBlocks - shape.lead - 1);
        assertEq(market.jobView(_post(_spec())).postEpoch, epoch, "before the lead");
        _rollTo(epoch, shape.epochBlocks - shape.lead);
        assertEq(market.jobView(_post(_spec())).postEpoch, epoch + 1, "in the lead");
        _rollTo(epoch + 1, 0);
        assertEq(market.jobView(_post(_spec())).postEpoch, epoch + 1, "first block of the next");
    }

    function test_post__paceZero__takesThePoolsBound() public {
        IJobMarket.JobSpec memory spec = _spec();
        (spec.committee, spec.quorum) = (2, 2);
        assertEq(market.jobView(_post(spec)).pace, 3, "2 * 3 / 2");
        (spec.committee, spec.quorum) = (1, 1);
        assertEq(market.jobView(_post(spec)).pace, 6, "2 * 3 / 1");
        (spec.committee, spec.quorum, spec.pace) = (1, 1, 6);
        assertEq(market.jobView(_post(spec)).pace, 6, "the bound itself");
    }

    function test_post__protocolFeeSet__jobKeepsIt() public {
        vm.prank(owner);
        market.setProtocolFee(250, rival);
        IJobMarket.JobSpec memory spec = _spec();
        assertEq(market.quoteEscrow(spec), 36_000 + 360 + 900, "both fees");
        JobId job = _post(spec);
        vm.prank(owner);
        market.setProtocolFee(0, rival);
        assertEq(market.jobView(job).protocolFeeBps, 250, "kept");
        assertEq(market.jobView(_post(spec)).protocolFeeBps, 0, "the next has none");
        assertEq(uint256(market.jobView(job).class), uint256(AnswerClass.EXACT), "the mark does not touch the class");
    }

    function test_jobView__unknown__reverts() public {
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.UnknownJob.selector, _job(1)));
        market.jobView(_job(1));
    }

    // --- what is refused ------------------------------------------------------------------------------------------

    function test_post__classNotExact__reverts() public {
        IJobMarket.JobSpec memory spec = _spec();
        for (uint8 i = 1; i <= 3; ++i) {
            spec.class = AnswerClass(i);
            _refused(spec, abi.encodeWithSelector(IJobMarket.ClassNotSupported.selector, spec.class));
        }
    }

    function test_post__appealWithoutCourt__reverts() public {
        IJobMarket.JobSpec memory spec = _spec();
        spec.appealEpochs = 7;
        _refused(spec, abi.encodeWithSelector(IJobMarket.NoCourt.selector, 7));
    }

    function test_post__numbersOutOfRange__reverts() public {
        IJobMarket.JobSpec memory spec = _spec();
        spec.tasks = 0;
        _outOfRange(spec, "tasks", 1, type(uint32).max, 0);
        spec = _spec();
        spec.shardSize = 0;
        _outOfRange(spec, "shardSize", 1, type(uint24).max, 0);
        spec = _spec();
        spec.committee = 0;
        _outOfRange(spec, "committee", 1, 15, 0);
        spec.committee = 16;
        _outOfRange(spec, "committee", 1, 15, 16);
        spec = _spec();
        spec.work = 0;
        _outOfRange(spec, "work", 1, 8, 0);
        spec.work = 9;
        _outOfRange(spec, "work", 1, 8, 9);
        spec = _spec();
        spec.maxAttempts = 0;
        _outOfRange(spec, "maxAttempts", 1, 4, 0);
        spec.maxAttempts = 5;
        _outOfRange(spec, "maxAttempts", 1, 4, 5);
        spec = _spec();
        spec.units = 0;
        _outOfRange(spec, "units", 1, type(uint32).max, 0);
        spec = _spec();
        spec.pace = 3;
        _outOfRange(spec, "pace", 0, 2, 3);
    }

    function test_post__quorumNotAMajority__reverts() public {
        IJobMarket.JobSpec memory spec = _spec();
        spec.quorum = 1;
        _outOfRange(spec, "quorum", 2, 3, 1);
        spec.quorum = 4;
        _outOfRange(spec, "quorum", 2, 3, 4);
        (spec.committee, spec.quorum) = (2, 1);
        _outOfRange(spec, "quorum", 2, 2, 1);
        (spec.committee, spec.quorum) = (15, 7);
        _outOfRange(spec, "quorum", 8, 15, 7);
    }

    function test_post__numbersAtTheirEdges__areAccepted() public {
        IJobMarket.JobSpec memory spec = _spec();
        (spec.work, spec.maxAttempts, spec.quorum, spec.pace) = (8, 4, 3, 2);
        _post(spec);
        (spec.tasks, spec.shardSize, spec.units, spec.unitPrice) = (1, type(uint24).max, 1, 1);
        _post(spec);
        (spec.committee, spec.quorum) = (1, 1);
        _post(spec);
    }

    function test_post__priceOutOfRange__reverts() public {
        IJobMarket.JobSpec memory spec = _spec();
        spec.unitPrice = 0;
        _outOfRange(spec, "taskPrice", 1, type(uint88).max, 0);
        (spec.units, spec.unitPrice) = (1 << 24, type(uint64).max);
        uint256 price = (1 << 24) * uint256(type(uint64).max);
        assertLe(price, type(uint88).max, "the edge itself");
        _refused(spec, abi.encodeWithSelector(INodeRegistry.ShardPayTooHigh.selector, 1e18, price));
        (spec.units, spec.unitPrice) = ((1 << 24) + 1, type(uint64).max);
        _outOfRange(spec, "taskPrice", 1, type(uint88).max, uint256(spec.units) * spec.unitPrice);
    }

    function test_post__escrowOverItsWidth__reverts() public {
        IJobMarket.JobSpec memory spec = _spec();
        spec.pool = _bigPool();
        (spec.tasks, spec.units, spec.unitPrice) = (40, 1e7, 1e18);
        _outOfRange(spec, "escrow", 1, type(uint88).max, 12e26 + 12e24);
    }

    function test_post__shardsOverTooManyEpochs__reverts() public {
        IJobMarket.JobSpec memory spec = _spec();
        (spec.tasks, spec.pace, spec.units, spec.unitPrice) = (uint32((1 << 25) + 1), 2, 1, 1);
        _outOfRange(spec, "epochs of shards", 1, 1 << 24, (1 << 24) + 1);
        spec.tasks = 1 << 25;
        _post(spec);
    }

    function test_post__lifeAtTheRing__lastFits() public {
        // Appeals, which a market with a court takes, fill the last epochs one by one.
        market = _newMarket(address(authority), registry, ledger, address(payToken), _newCourt(), _params());
        vm.prank(requester);
        payToken.approve(address(market), type(uint256).max);
        _registerMany(5, 1); // judges
        IJobMarket.JobSpec memory spec = _spec();
        // 4 * (2 * 8 + 4) + 2 * 8 + appeal + 4 = 100 + appeal, under 128.
        (spec.work, spec.maxAttempts, spec.appealEpochs) = (8, 4, 28);
        vm.prank(requester);
        vm.expectRevert(abi.encodeWithSelector(IJobMarket.JobTooLong.selector, 127, 128));
        market.post(spec);
        spec.appealEpochs = 27;
        JobId job = _post(spec);
        assertEq(market.jobView(job).appealEpochs, 27, "stored");
    }

    function test_post__committeeLargerThanActiveNodes__reverts() public {
        IJobMarket.JobSpec memory spec = _spec();
        (spec.committee, spec.quorum) = (4, 3);
        _refused(spec, abi.encodeWithSelector(INodeRegistry.TooFewNodes.selector, 4, 3));
        vm.prank(operator);
        registry.takeSeats(_node(1), 2); // more seats are not more nodes
        _refused(spec, abi.encodeWithSelector(INodeRegistry.TooFewNodes.selector, 4, 3));
        vm.prank(operator);
        registry.pauseNode(_node(1));
        (spec.committee, spec.quorum) = (3, 2);
        _refused(spec, abi.encodeWithSelector(INodeRegistry.TooFewNodes.selector, 3, 2));
        vm.prank(operator);
        registry.resumeNode(_node(1));
        _post(spec);
    }

    function test_post__appealsWithoutJudges__saysHowManyNodesAreMissing() public {
        market = _newMarket(address(authority), registry, ledger, address(payToken), _newCourt(), _params());
        vm.prank(requester);
        payToken.approve(address(market), type(uint256).max);
        IJobMarket.JobSpec memory spec = _spec();
        spec.appealEpochs = 7;
        for (uint256 nodes = 3; nodes < 8; ++nodes) {
            _refused(spec, abi.encodeWithSelector(INodeRegistry.TooFewNodes.selector, 3 + 5, nodes));
            _register(rival, 1);
        }
        _post(spec);
        (spec.committee, spec.quorum) = (4, 3);
        vm.prank(requester);
        vm.expectRevert(abi.encodeWithSelector(INodeRegistry.TooFewNodes.selector, 4 + 5, 8));
        market.post(spec);
    }

    function test_post__priceUnderFloor__reverts() public {
        INodeRegistry.PoolTerms memory terms = _terms();
        terms.floor = 1_001;
        vm.prank(owner);
        registry.tunePool(pool, terms);
        IJobMarket.JobSpec memory spec = _spec();
        _refused(spec, abi.encodeWithSelector(INodeRegistry.PriceUnderFloor.selector, 1_001, 1_000));
        spec.unitPrice = 1_001;
        _post(spec);
    }

    function test_post__shardPayOverMaximum__reverts() public {
        INodeRegistry.PoolTerms memory terms = _terms();
        terms.maxShardPay = 12_000 * 5;
        vm.prank(owner);
        registry.tunePool(pool, terms);
        IJobMarket.JobSpec memory spec = _spec();
        (spec.tasks, spec.shardSize) = (12, 6);
        _refused(spec, abi.encodeWithSelector(INodeRegistry.ShardPayTooHigh.selector, 60_000, 72_000));
        spec.shardSize = 5; // exactly the most
        _post(spec);
        (spec.tasks, spec.shardSize) = (5, 1_000); // a shard is never larger than the job
        _post(spec);
    }

    function test_post__poolClosedOrUnknown__reverts() public {
        IJobMarket.JobSpec memory spec = _spec();
        spec.pool = PoolId.wrap(9);
        _refused(spec, abi.encodeWithSelector(INodeRegistry.UnknownPool.selector, spec.pool));
        INodeRegistry.PoolTerms memory terms = _terms();
        terms.open = false;
        vm.prank(owner);
        registry.tunePool(pool, terms);
        _refused(_spec(), abi.encodeWithSelector(INodeRegistry.PoolNotOpen.selector, pool));
    }

    function test_post__paused__reverts() public {
        vm.prank(owner);
        market.pause();
        _refused(_spec(), abi.encodeWithSelector(Pausable.EnforcedPause.selector));
        vm.prank(owner);
        market.unpause();
        _post(_spec());
    }

    function test_administration__byStrangers__reverts() public {
        bytes memory reason = abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, stranger);
        vm.startPrank(stranger);
        vm.expectRevert(reason);
        market.pause();
        vm.expectRevert(reason);
        market.unpause();
        vm.expectRevert(reason);
        market.setProtocolFee(1, stranger);
        vm.stopPrank();
    }

    function test_post__withoutAllowanceOrBalance__reverts() public {
        uint256 quote = market.quoteEscrow(_spec());
        vm.prank(requester);
        payToken.approve(address(market), quote - 1);
        _refused(
            _spec(),
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(market), quote - 1, quote)
        );
        vm.startPrank(requester);
        payToken.approve(address(market), type(uint256).max);
        payToken.transfer(owner, payToken.balanceOf(requester) - quote + 1);
        vm.stopPrank();
        _refused(
            _spec(), abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, requester, quote - 1, quote)
        );
    }

    /// @dev One draw in four is anything at all; the others are what a requester may ask for, quorum aside.
    function _anySpec(uint256[10] memory raw, bool mild) private view returns (IJobMarket.JobSpec memory spec) {
        spec = _spec();
        if (!mild) {
            (spec.pool, spec.class) = (PoolId.wrap(uint16(raw[8] % 3)), AnswerClass(raw[9] % 4));
            (spec.committee, spec.quorum) = (uint8(raw[0]), uint8(raw[1]));
            (spec.work, spec.maxAttempts, spec.pace) = (uint8(raw[2]), uint8(raw[3]), uint16(raw[4]));
            (spec.tasks, spec.shardSize) = (uint32(raw[5]), uint24(raw[6]));
            (spec.units, spec.unitPrice) = (uint32(raw[7]), uint64(raw[8]));
            return spec;
        }
        (spec.committee, spec.quorum) = (uint8(bound(raw[0], 1, 3)), uint8(bound(raw[1], 1, 3)));
        (spec.work, spec.maxAttempts) = (uint8(bound(raw[2], 1, 8)), uint8(bound(raw[3], 1, 4)));
        (spec.pace, spec.tasks) = (uint16(bound(raw[4], 0, 2)), uint32(bound(raw[5], 1, 1_000)));
        spec.shardSize = uint24(bound(raw[6], 1, 100));
        (spec.units, spec.unitPrice) = (uint32(bound(raw[7], 1, 99)), uint64(bound(raw[8], 1, 1e9)));
    }

    function testFuzz_post__anySpec__isRefusedOrHeldToTheUnit(uint256[10] memory raw, uint8 wild) public {
        bool mild = wild % 4 != 0;
        IJobMarket.JobSpec memory spec = _anySpec(raw, mild);
        uint256 balance = payToken.balanceOf(requester);
        vm.prank(requester);
        try market.post(spec) returns (JobId job) {
            assertEq(balance - payToken.balanceOf(requester), market.quoteEscrow(spec), "pulled the quote");
            assertEq(market.jobView(job).held, market.quoteEscrow(spec), "held the quote");
            assertEq(market.jobView(job).taskPrice, uint256(spec.units) * spec.unitPrice, "price");
            assertEq(market.jobView(job).tasks, spec.tasks, "tasks");
        } catch {
            bool majority = spec.quorum <= spec.committee && spec.quorum > spec.committee / 2;
            assertFalse(mild && majority, "a mild spec with a majority is accepted");
            assertEq(payToken.balanceOf(requester), balance, "a refused post moves nothing");
        }
        assertEq(payToken.balanceOf(address(market)) + payToken.balanceOf(requester), 1e24, "nothing is lost");
    }

    function test_announce__byRequester__saysTheEndpoint() public {
        vm.expectEmit(true, true, true, true, address(market));
        emit IJobMarket.EndpointAnnounced(requester, "http://requester.example:8080");
        vm.prank(requester);
        market.announce("http://requester.example:8080");
    }
}
