// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {JobId} from "../../contracts/interfaces/Types.sol";
import {Scenes} from "./support/Scenes.sol";

// postWithPermit
// ├── pulls by the signature alone
// ├── the permit was used by someone else before: posts
// ├── the signature is of another, or too old: the token says what is missing
// └── the allowance is there anyway: a bad signature does not matter
contract PostWithPermitTest is Scenes {
    function setUp() public override {
        super.setUp();
        _cast(3);
    }

    function _permit(string memory signer, uint256 amount, uint256 deadline)
        private
        view
        returns (uint8 v, bytes32 r, bytes32 s)
    {
        IERC20Permit token = IERC20Permit(address(payToken));
        bytes32 typeHash =
            keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        bytes32 inner =
            keccak256(abi.encode(typeHash, requester, address(market), amount, token.nonces(requester), deadline));
        return vm.sign(
            uint256(keccak256(bytes(signer))), keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), inner))
        );
    }

    function _noAllowance() private returns (uint256 quote) {
        vm.prank(requester);
        payToken.approve(address(market), 0);
        return market.quoteEscrow(_spec());
    }

    function test_postWithPermit__signedByRequester__posts() public {
        uint256 quote = _noAllowance();
        (uint8 v, bytes32 r, bytes32 s) = _permit("requester", quote, block.timestamp);
        vm.prank(requester);
        JobId job = market.postWithPermit(_spec(), block.timestamp, v, r, s);
        assertEq(market.jobView(job).held, quote, "held");
        assertEq(payToken.allowance(requester, address(market)), 0, "exactly the escrow was allowed");
    }

    function test_postWithPermit__permitAlreadyUsed__posts() public {
        uint256 quote = _noAllowance();
        (uint8 v, bytes32 r, bytes32 s) = _permit("requester", quote, block.timestamp);
        vm.prank(rival);
        IERC20Permit(address(payToken)).permit(requester, address(market), quote, block.timestamp, v, r, s);
        vm.prank(requester);
        JobId job = market.postWithPermit(_spec(), block.timestamp, v, r, s);
        assertEq(market.jobView(job).held, quote, "held");
    }

    function test_postWithPermit__signedByAnotherOrTooLate__reverts() public {
        uint256 quote = _noAllowance();
        bytes memory reason =
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(market), 0, quote);
        (uint8 v, bytes32 r, bytes32 s) = _permit("rival", quote, block.timestamp);
        vm.prank(requester);
        vm.expectRevert(reason);
        market.postWithPermit(_spec(), block.timestamp, v, r, s);
        (v, r, s) = _permit("requester", quote, block.timestamp - 1);
        vm.prank(requester);
        vm.expectRevert(reason);
        market.postWithPermit(_spec(), block.timestamp - 1, v, r, s);
        // A permit for another amount is no permit for the escrow.
        (v, r, s) = _permit("requester", quote + 1, block.timestamp);
        vm.prank(requester);
        vm.expectRevert(reason);
        market.postWithPermit(_spec(), block.timestamp, v, r, s);
    }

    function test_postWithPermit__allowanceThere__badSignatureDoesNotMatter() public {
        vm.prank(requester);
        JobId job = market.postWithPermit(_spec(), 0, 27, bytes32(0), bytes32(0));
        assertEq(_id(job), 1, "posted");
    }
}
