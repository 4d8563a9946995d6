"""Computing something so that nothing of it is remembered: in a process that is a copy of this one and ends with it.

A network may remember in itself, in its class, in what its functions close over, in a variable of its file. A copy of
the process has all of that as it is now, and what happens in it is not known here, nor to the next copy: two of them
differ in nothing but in what they compute. Where there are no such copies (not on Linux, or with a GPU in use, whose
state a copy cannot have) a deep copy of what computes stands in: it keeps apart what the network itself remembers.
"""

from __future__ import annotations

import copy
import io
import multiprocessing
import sys
import traceback
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TypeVar

import torch
from torch import Tensor, nn

SECONDS = 600  # after which a copy is taken for stuck

Network = TypeVar("Network", bound=nn.Module)


def has_copies() -> bool:
    """Whether this process can be copied."""
    return sys.platform == "linux" and not torch.accelerator.is_available()


def apart(compute: Callable[[Network], list[Tensor]], network: Network) -> list[Tensor]:
    """What `compute` makes of the network, which is afterwards what it was.

    Raises ValueError with what `compute` raises, and where a copy of the process dies or is stuck.
    """
    if not has_copies():
        return compute(copy.deepcopy(network))
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(compute, network, sender))
    with warnings.catch_warnings():  # threads of torch's have no place in the copy, which computes in one
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    sender.close()
    try:
        answer = receiver.recv_bytes() if receiver.poll(SECONDS) else b""
    except EOFError:
        answer = b""
    finally:
        receiver.close()
        if process.is_alive():
            process.join(1)
            process.kill()
        process.join()
    if not answer:
        raise ValueError(f"a copy of the process ended without an answer (exit code {process.exitcode})")
    if answer[:1] == b"!":
        raise ValueError(answer[1:].decode())
    found: list[Tensor] = torch.load(io.BytesIO(answer[1:]), weights_only=True)
    return found


def _send(compute: Callable[[Network], list[Tensor]], network: Network, sender: Connection) -> None:
    try:
        torch.set_num_threads(1)
        content = io.BytesIO()
        torch.save([one.detach().cpu().contiguous() for one in compute(network)], content)
        sender.send_bytes(b"." + content.getvalue())
    except Exception as error:  # whatever a user's network raises is said where the copy was made
        line = traceback.format_exception_only(error)[-1].strip()
        sender.send_bytes(b"!" + line.encode())
