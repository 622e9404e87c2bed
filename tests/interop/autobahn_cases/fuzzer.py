"""The Autobahn test suite as this directory runs it. Python 2.7: that is what the suite is written in.

    fuzzer.py client OUT URL CASES...    be the fuzzing client, test the server at URL
    fuzzer.py server OUT CASES...        be the fuzzing server, print its port and the number of cases

OUT becomes one JSON object: what was seen of each case. The suite is used as it was installed, but
for three things that are changed here, in memory:

- its server refuses a Host that names another port than its own, which every reverse proxy sends;
- its server binds all addresses;
- cases 6.4.3 and 6.4.4 hold a half-sent frame for a second or two, and the suite answers a ping that
  arrives meanwhile in the middle of that frame. RFC 6455 5.4 allows control frames between the
  frames of a message, never inside one, so the pong waits here for the end of the frame.
"""

import json
import sys

# First of all, for it chooses Twisted's reactor.
from autobahntestsuite import fuzzing  # isort: skip

from autobahn.twisted.websocket import listenWS
from autobahn.websocket.protocol import WebSocketProtocol
from twisted.internet import reactor

SEEN = (
    "behavior",
    "behaviorClose",
    "expected",
    "received",
    "localCloseCode",
    "localCloseReason",
    "remoteCloseCode",
    "remoteCloseReason",
    "closedByMe",
    "failedByMe",
    "droppedByMe",
    "wasClean",
    "wasNotCleanReason",
    "duration",
)


def on_ping(self, payload):
    if self.state != WebSocketProtocol.STATE_OPEN:
        return
    if self.send_state == WebSocketProtocol.SEND_STATE_INSIDE_MESSAGE_FRAME:
        self.__dict__.setdefault("pongs_owed", []).append(payload)
    else:
        self.sendPong(payload)


def send_message_frame_data(self, payload, sync=False):
    rest = WebSocketProtocol.sendMessageFrameData(self, payload, sync)
    if self.send_state != WebSocketProtocol.SEND_STATE_INSIDE_MESSAGE_FRAME:
        for owed in self.__dict__.pop("pongs_owed", []):
            self.sendPong(owed)
    return rest


fuzzing.FuzzingProtocol.onPing = on_ping
fuzzing.FuzzingProtocol.sendMessageFrameData = send_message_frame_data


class Report(object):
    """Writes one small object instead of the suite's thousand files."""

    def createReports(self):
        (cases,) = self.agents.values()
        seen = dict((case, dict((key, whole[key]) for key in SEEN)) for case, whole in cases.items())
        with open(self.outdir, "w") as out:
            json.dump(seen, out, indent=1, sort_keys=True)


class Client(Report, fuzzing.FuzzingClientFactory, object):
    pass


class Server(Report, fuzzing.FuzzingServerFactory, object):
    def setSessionParameters(self, *args, **kwargs):
        fuzzing.FuzzingServerFactory.setSessionParameters(self, *args, **kwargs)
        self.externalPort = None


def main(role, out, rest):
    if role == "client":
        server = {"agent": "peer", "url": rest[0]}
        Client({"outdir": out, "servers": [server], "cases": rest[1:], "exclude-cases": []})
    else:
        server = Server({"outdir": out, "url": "ws://127.0.0.1:0", "cases": rest, "exclude-cases": []})
        port = listenWS(server, interface="127.0.0.1").getHost().port
        print("listening %d %d" % (port, len(server.specCases)))
    sys.stdout.flush()
    reactor.run()


main(sys.argv[1], sys.argv[2], [str(argument) for argument in sys.argv[3:]])
