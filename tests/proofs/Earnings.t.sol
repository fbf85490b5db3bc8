// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {NodeId} from "../../contracts/interfaces/Types.sol";
import {ICommitLedger} from "../../contracts/interfaces/ICommitLedger.sol";
import {INodeRegistry} from "../../contracts/interfaces/INodeRegistry.sol";
import {JobMarket} from "../../contracts/JobMarket.sol";
import {Proof} from "./Proof.sol";
import {MarketStub, RegistryStub} from "./Stubs.sol";

/// @title The market's books, without the settlements that fill them
contract EarningsHarness is JobMarket {
    constructor(INodeRegistry registry_, address token, address court_)
        JobMarket(address(1), registry_, ICommitLedger(address(2)), token, court_, Params(8, 4, 100, 10))
    {}

    function credit(NodeId node, uint256 atOnce, uint256 later) external {
        _credit(node, atOnce, later);
    }

    function owe(address account, uint256 amount) external {
        _owe(account, amount);
    }
}

/// @title What nodes and accounts are owed
/// @dev The real market's books; the stub's token counts what is paid out. This contract stands for the Court.
contract EarningsProof is Proof {
    uint8 public constant JUDGES = 5;
    NodeId private constant NODE = NodeId.wrap(3);
    address private constant OPERATOR = address(0xC01D);
    address private constant OTHER = address(0x07E);
    /// @dev Epoch 300 is in the middle of a bucket of 128 epochs, the third.
    uint256 private constant NOW = 300;

    MarketStub private _token;
    EarningsHarness private _market;

    function setUp() public {
        _token = new MarketStub();
        _market = new EarningsHarness(INodeRegistry(address(new RegistryStub())), address(_token), address(this));
        _at(NOW);
    }

    function _at(uint256 epoch) private {
        vm.roll(epoch * 10);
    }

    function _earned() private view returns (uint256 matured, uint256 maturing) {
        return _market.earningsOf(NODE);
    }

    function check_credit__anyPay__isOwedInFull(uint96 atOnce, uint96 later, uint96 more) public {
        _market.credit(NODE, atOnce, later);
        _market.credit(NODE, 0, more);
        (uint256 matured, uint256 maturing) = _earned();
        assert(matured == atOnce && maturing == uint256(later) + more);
    }

    function check_credit__anyLaterEpoch__isOwedInFullAndMaturesByBuckets(uint96 first, uint96 second, uint16 epoch)
        public
    {
        vm.assume(epoch >= NOW && epoch < 2_000);
        _market.credit(NODE, 0, first);
        _at(epoch);
        _market.credit(NODE, 0, second);
        (uint256 matured, uint256 maturing) = _earned();
        assert(matured + maturing == uint256(first) + second);
        assert(matured == (epoch >= 4 * 128 ? first : 0));
    }

    function check_forfeit__anyPay__takesTheImmatureAndNothingElse(uint96 atOnce, uint96 later, uint96 account) public {
        _market.credit(NODE, atOnce, later);
        _market.owe(OTHER, account);
        uint256 amount = _market.forfeit(NODE);
        (uint256 matured, uint256 maturing) = _earned();
        assert(amount == later && matured == atOnce && maturing == 0);
        assert(_market.owedTo(address(this)) == later && _market.owedTo(OTHER) == account);
    }

    function check_forfeit__anyLaterEpoch__takesOnlyWhatHasNotMatured(uint96 later, uint16 epoch) public {
        vm.assume(epoch >= NOW && epoch < 2_000);
        _market.credit(NODE, 0, later);
        _at(epoch);
        uint256 amount = _market.forfeit(NODE);
        (uint256 matured,) = _earned();
        assert(amount + matured == later);
        assert(amount == (epoch < 4 * 128 ? later : 0));
    }

    function check_forfeit__twice__takesNothingMore(uint96 atOnce, uint96 later) public {
        _market.credit(NODE, atOnce, later);
        _market.forfeit(NODE);
        assert(_market.forfeit(NODE) == 0);
        (uint256 matured, uint256 maturing) = _earned();
        assert(matured == atOnce && maturing == 0);
    }

    function check_forfeit__anybodyButTheCourt__isRefused(address caller, uint96 later) public {
        vm.assume(caller != address(this));
        _market.credit(NODE, 0, later);
        vm.prank(caller);
        (bool done,) = address(_market).call(abi.encodeCall(_market.forfeit, (NODE)));
        assert(!done);
    }

    function check_assign__anyAmount__movesExactlyThatOrNothing(uint96 mine, uint96 theirs, uint96 amount) public {
        _market.owe(address(this), mine);
        _market.owe(OTHER, theirs);
        (bool done,) = address(_market).call(abi.encodeCall(_market.assign, (OTHER, amount)));
        assert(done == (amount <= mine));
        assert(_market.owedTo(address(this)) == (done ? mine - amount : mine));
        assert(_market.owedTo(OTHER) == (done ? uint256(theirs) + amount : theirs));
    }

    function check_collect__anyDebt__isPaidOnce(uint96 debt) public {
        _market.owe(OTHER, debt);
        (bool done,) = address(_market).call(abi.encodeCall(_market.collect, (OTHER)));
        assert(done == (debt != 0));
        assert(_token.balanceOf(OTHER) == debt && _market.owedTo(OTHER) == 0);
        (done,) = address(_market).call(abi.encodeCall(_market.collect, (OTHER)));
        assert(!done);
    }

    function check_withdraw__anyPay__paysTheMaturedToTheOperatorOnly(uint96 atOnce, uint96 later, address caller)
        public
    {
        _market.credit(NODE, atOnce, later);
        vm.prank(caller);
        (bool done,) = address(_market).call(abi.encodeCall(_market.withdraw, (NODE)));
        assert(done == (atOnce != 0));
        (uint256 matured, uint256 maturing) = _earned();
        assert(_token.balanceOf(OPERATOR) == atOnce && matured == 0 && maturing == later);
    }

    function refute_withdraw__nextBucket__paysWhatIsImmature(uint96 later) public {
        vm.assume(later != 0);
        _market.credit(NODE, 0, later);
        _at(NOW + 128);
        (bool done,) = address(_market).call(abi.encodeCall(_market.withdraw, (NODE)));
        assert(done);
    }
}
