"""Drives a kernel with Jupyter's own client and its own test suite, jupyter_kernel_test.

usage: suite.py PLAN.json, where PLAN has argv (of the kernel, with {connection_file}) and cells (what to
type in the kernel's language; a test whose cell is missing is skipped). One line of JSON a test goes to
standard output.
"""

import faulthandler
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import unittest

plan = json.load(open(sys.argv[1]))
cells = plan["cells"]

home = tempfile.mkdtemp(dir=os.path.dirname(os.path.abspath(sys.argv[1])))
for variable in ["JUPYTER_PATH", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR"]:
    os.environ[variable] = os.path.join(home, variable.lower())
spec = os.path.join(os.environ["JUPYTER_PATH"], "kernels", "under-test")
os.makedirs(spec)
with open(os.path.join(spec, "kernel.json"), "w") as f:
    json.dump({
        "argv": plan["argv"], "display_name": "under test", "language": plan["language"],
        "interrupt_mode": "message", "env": plan.get("env", {}),
    }, f)

import jupyter_kernel_test
import zmq
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import start_new_kernel
from jupyter_client.session import Session
from jupyter_kernel_test.msgspec_v5 import validate_message

TIMEOUT = 600


def cell(name):
    """The cell of a test; the test is skipped where the kernel has none."""
    if not cells.get(name):
        raise unittest.SkipTest(f"needs a cell {name!r}")
    return cells[name]


class Standard(jupyter_kernel_test.KernelTests):
    kernel_name = "under-test"
    language_name = plan["language"]
    file_extension = plan["file_extension"]
    code_hello_world = cells.get("hello", "")
    code_stderr = cells.get("stderr", "")
    completion_samples = cells.get("completions", [])
    complete_code_samples = cells.get("complete", [])
    incomplete_code_samples = cells.get("incomplete", [])
    invalid_code_samples = cells.get("invalid", [])
    code_generate_error = cells.get("error", "")
    code_execute_result = cells.get("results", [])
    code_display_data = cells.get("displays", [])
    code_history_pattern = cells.get("history_pattern", "")
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = cells.get("inspect", "")
    code_clear_output = cells.get("clear", "")
    code_page_something = cells.get("page", "")
    if not code_page_something:
        test_pager = None  # payloads are deprecated, and the toy language has none

    def execute_helper(self, code, **options):
        """As in jupyter_kernel_test, but a machine with much else to do may be slow."""
        options.pop("timeout", None)
        msg_id = self.kc.execute(code=code, **options)
        reply = self.get_non_kernel_info_reply(timeout=TIMEOUT)
        validate_message(reply, "execute_reply", msg_id)
        published = []
        while not published or published[-1]["content"].get("execution_state") != "idle":
            published.append(self.kc.get_iopub_msg(timeout=TIMEOUT))
            validate_message(published[-1], parent_id=msg_id)
            self.assertEqual(published[-1]["parent_header"]["msg_id"], msg_id)
        self.assertEqual(published[0]["content"].get("execution_state"), "busy")
        return reply, [m for m in published if m["msg_type"] not in ("status", "execute_input")]


class Welcome(jupyter_kernel_test.IopubWelcomeTests):
    kernel_name = "under-test"
    support_iopub_welcome = True


class Dialogue(unittest.TestCase):
    """What jupyter_kernel_test leaves out."""

    @classmethod
    def setUpClass(cls):
        cls.km, cls.kc = start_new_kernel(kernel_name="under-test", startup_timeout=TIMEOUT)

    @classmethod
    def tearDownClass(cls):
        cls.kc.stop_channels()
        cls.km.shutdown_kernel()

    def iopub(self, msg_id, *types):
        """The next message that the request caused, of one of the types if any are given."""
        while True:
            m = self.kc.get_iopub_msg(timeout=TIMEOUT)
            if m["parent_header"].get("msg_id") == msg_id and (not types or m["msg_type"] in types):
                return m

    def reply(self, msg_id, get=None):
        while True:
            m = (get or self.kc.get_shell_msg)(timeout=TIMEOUT)
            if m["parent_header"].get("msg_id") == msg_id:
                return m["content"]

    def outputs(self, msg_id):
        """All that the request showed, until the kernel is idle."""
        out = []
        while True:
            m = self.iopub(msg_id)
            if m["msg_type"] == "status":
                if m["content"]["execution_state"] == "idle":
                    return out
            elif m["msg_type"] != "execute_input":
                out.append(m)

    def run_cell(self, code, **options):
        msg_id = self.kc.execute(code, **options)
        return self.reply(msg_id), self.outputs(msg_id)

    def value(self, code):
        reply, outputs = self.run_cell(code)
        self.assertEqual(reply["status"], "ok", reply)
        return [m["content"]["data"]["text/plain"] for m in outputs if m["msg_type"] == "execute_result"]

    def test_keeps_variables(self):
        self.run_cell(cell("define"))
        self.assertEqual(self.value(cell("defined")), [cell("defined_value")])

    def test_output_order(self):
        reply, outputs = self.run_cell(cell("order"))
        self.assertEqual(reply["status"], "ok", reply)
        seen = []
        for m in outputs:
            c = m["content"]
            what = [m["msg_type"], c["name"] + ":" + c["text"]] if m["msg_type"] == "stream" else [m["msg_type"], ""]
            if seen and m["msg_type"] == "stream" and seen[-1][1].split(":")[0] == c["name"]:
                seen[-1][1] += c["text"]
            else:
                seen.append(what)
        self.assertEqual(seen, cell("order_seen"))

    def test_many_prints_are_few_messages(self):
        reply, outputs = self.run_cell(cell("many"))
        self.assertEqual(reply["status"], "ok", reply)
        self.assertEqual("".join(m["content"]["text"] for m in outputs), cell("many_text") * cell("many_count"))
        self.assertLess(len(outputs), cell("many_count") / 10)

    def test_streams_while_running_and_interrupt(self):
        code = cell("forever")
        self.run_cell(cell("define"))
        msg_id = self.kc.execute(code)
        behind = self.kc.execute(cell("defined"))
        self.assertIn("started", self.iopub(msg_id, "stream")["content"]["text"])

        # The kernel says what it is while the cell runs.
        asked = self.kc.session.msg("kernel_info_request", {})
        self.kc.control_channel.send(asked)
        info = self.reply(asked["header"]["msg_id"], self.kc.get_control_msg)
        self.assertEqual(info["language_info"]["name"], plan["language"])

        self.km.interrupt_kernel()
        reply = self.reply(msg_id)
        self.assertEqual((reply["status"], reply["ename"]), ("error", "Interrupted"))
        self.assertEqual(self.iopub(msg_id, "error")["content"]["ename"], "Interrupted")
        self.assertEqual(self.reply(behind)["status"], "aborted")
        self.assertEqual(self.value(cell("defined")), [cell("defined_value")])

    def test_sigint_interrupts_too(self):
        msg_id = self.kc.execute(cell("forever"))
        self.iopub(msg_id, "stream")
        self.km.signal_kernel(signal.SIGINT)
        self.assertEqual(self.reply(msg_id)["ename"], "Interrupted")
        self.assertEqual(self.value(cell("results")[0]["code"]), [cell("results")[0]["result"]])

    def test_stop_during_a_compilation_keeps_everything(self):
        reply, _ = self.run_cell(cell("network"))
        self.assertEqual(reply["status"], "ok", reply)
        msg_id = self.kc.execute(cell("compiles"))
        self.assertIn("started", self.iopub(msg_id, "stream")["content"]["text"])
        time.sleep(0.2)
        self.km.interrupt_kernel()
        self.assertEqual(self.reply(msg_id)["ename"], "Interrupted")
        self.assertEqual(self.value(cell("network_value")), [cell("network_shown")])

    def test_second_stop_ends_what_cannot_be_stopped(self):
        self.run_cell(cell("define"))
        msg_id = self.kc.execute(cell("stubborn"))
        self.assertIn("started", self.iopub(msg_id, "stream")["content"]["text"])
        self.km.interrupt_kernel()
        told = self.iopub(msg_id, "stream")["content"]["text"]
        self.assertIn("A second Stop ends the process at once", told)
        time.sleep(1.5)  # a person reads that, and presses Stop
        self.km.interrupt_kernel()
        reply = self.reply(msg_id)
        self.assertEqual(reply["ename"], "Interrupted")
        self.assertIn("a second Stop ended its process; lost are", reply["evalue"])
        self.assertEqual(self.value(cell("results")[0]["code"]), [cell("results")[0]["result"]])

    def test_interrupt_without_a_cell(self):
        self.km.interrupt_kernel()
        while True:  # until the kernel has dealt with it
            m = self.kc.get_iopub_msg(timeout=TIMEOUT)
            if m["parent_header"].get("msg_type") == "interrupt_request" and m["content"].get("execution_state") == "idle":
                break
        self.assertEqual(self.value(cell("results")[0]["code"]), [cell("results")[0]["result"]])

    def test_update_display(self):
        reply, outputs = self.run_cell(cell("progress"))
        self.assertEqual(reply["status"], "ok", reply)
        first = [m["content"]["transient"]["display_id"] for m in outputs if m["msg_type"] == "display_data"]
        updates = [m["content"]["transient"]["display_id"] for m in outputs if m["msg_type"] == "update_display_data"]
        self.assertEqual(len(first), 1, outputs)
        self.assertTrue(updates, outputs)
        self.assertEqual(set(updates), set(first))

    def test_error_names_its_line(self):
        reply, outputs = self.run_cell(cell("error_on_line"))
        self.assertEqual(reply["status"], "error")
        self.assertEqual([m["msg_type"] for m in outputs if m["msg_type"] != "stream"], ["error"])
        shown = outputs[-1]["content"]
        self.assertEqual(shown["ename"], reply["ename"])
        self.assertIn(f"line {cell('error_line')}", "\n".join(shown["traceback"]))

    def test_failure_aborts_what_is_behind(self):
        ids = [self.kc.execute(c) for c in (cell("error"), cell("hello"))]
        self.assertEqual([self.reply(i)["status"] for i in ids], ["error", "aborted"])
        self.assertEqual(self.run_cell(cell("hello"))[0]["status"], "ok")

    def test_input(self):
        msg_id = self.kc.execute(cell("prompt"), allow_stdin=True)
        asked = self.kc.get_stdin_msg(timeout=TIMEOUT)
        self.assertEqual(asked["content"]["prompt"], cells["prompt_text"])
        self.kc.input("Ada")
        self.assertEqual(self.reply(msg_id)["status"], "ok")
        self.assertEqual([m["content"]["text"] for m in self.outputs(msg_id)], ["Ada\n"])

    def test_prompts(self):
        for code, password in ((cell("input"), False), (cell("password"), True)):
            msg_id = self.kc.execute(code, allow_stdin=True)
            asked = self.kc.get_stdin_msg(timeout=TIMEOUT)["content"]
            self.assertEqual((asked["prompt"], asked["password"]), ("who? ", password))
            self.kc.input("Ada")
            self.assertEqual(self.reply(msg_id)["status"], "ok")
            self.assertIn("Ada", "".join(m["content"]["text"] for m in self.outputs(msg_id) if m["msg_type"] == "stream"))
        reply, _ = self.run_cell(cell("input"), allow_stdin=False)
        self.assertEqual(reply["status"], "error")
        self.assertIn("cannot be asked", reply["evalue"])

    def test_display_is_updated_from_a_later_cell_and_a_goroutine(self):
        _, shown = self.run_cell(cell("show_named"))
        self.assertEqual([(m["msg_type"], m["content"]["transient"]["display_id"]) for m in shown], [("display_data", "named")])
        _, shown = self.run_cell(cell("update_named"))
        self.assertEqual([(m["msg_type"], m["content"]["transient"]["display_id"]) for m in shown], [("update_display_data", "named")])
        first = self.kc.execute(cell("update_late"))
        self.assertEqual(self.reply(first)["status"], "ok")
        late = self.iopub(first, "update_display_data")
        self.assertEqual(late["content"]["data"]["text/plain"], "3")

    def test_user_expressions(self):
        sample = cell("results")[0]
        reply, _ = self.run_cell(cell("hello"), user_expressions={"good": sample["code"], "bad": cell("error")})
        self.assertEqual(reply["user_expressions"]["good"]["data"]["text/plain"], sample["result"])
        self.assertEqual(reply["user_expressions"]["bad"]["status"], "error")

    def test_silent(self):
        msg_id = self.kc.execute(cell("hello"), silent=True)
        self.assertEqual(self.reply(msg_id)["status"], "ok")
        self.assertEqual(self.outputs(msg_id), [])

    def test_execution_count(self):
        counts = [self.run_cell(cell("hello"))[0]["execution_count"] for _ in range(3)]
        self.assertEqual(counts, list(range(counts[0], counts[0] + 3)))

    def test_comm_open_of_an_unknown_target(self):
        m = self.kc.session.msg("comm_open", {"comm_id": "c1", "target_name": "nobody", "data": {}})
        self.kc.shell_channel.send(m)
        self.assertEqual(self.iopub(m["header"]["msg_id"], "comm_close")["content"]["comm_id"], "c1")

    def ask_control(self, kind, content=None):
        asked = self.kc.session.msg(kind, content or {})
        self.kc.control_channel.send(asked)
        return self.reply(asked["header"]["msg_id"], self.kc.get_control_msg)

    def send(self, kind, content, subshell=None):
        m = self.kc.session.msg(kind, content)
        if subshell:
            m["header"]["subshell_id"] = subshell
        self.kc.shell_channel.send(m)
        return m["header"]["msg_id"]

    def test_a_second_cell_runs_while_the_first_is_busy(self):
        self.assertIn("kernel subshells", self.ask_control("kernel_info_request")["supported_features"])
        subshell = self.ask_control("create_subshell_request")["subshell_id"]
        self.assertEqual(self.ask_control("list_subshell_request")["subshell_id"], [subshell])
        first = self.kc.execute(cell("forever"))
        self.iopub(first, "stream")
        sample = cell("results")[0]
        content = {"code": sample["code"], "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False, "stop_on_error": True}
        second = self.send("execute_request", content, subshell)
        self.assertEqual(self.reply(second)["status"], "ok")
        values = [m["content"]["data"]["text/plain"] for m in self.outputs(second) if m["msg_type"] == "execute_result"]
        self.assertEqual(values, [sample["result"]])
        self.km.interrupt_kernel()
        self.assertEqual(self.reply(first)["ename"], "Interrupted")
        self.assertEqual(self.ask_control("delete_subshell_request", {"subshell_id": subshell})["status"], "ok")
        self.assertEqual(self.ask_control("list_subshell_request")["subshell_id"], [])
        self.assertEqual(self.value(sample["code"]), [sample["result"]])

    def test_a_slider_calls_back(self):
        reply, outputs = self.run_cell(cell("slider"))
        self.assertEqual(reply["status"], "ok", reply)
        opened = {m["content"]["comm_id"]: m["content"]["data"]["state"] for m in outputs if m["msg_type"] == "comm_open"}
        [(slider, state)] = [(i, s) for i, s in opened.items() if s["_model_name"] == "FloatSliderModel"]
        self.assertEqual((state["min"], state["max"], state["value"], state["description"]), (0, 8, 0, "ε"))
        [area] = [i for i, s in opened.items() if s["_model_name"] == "OutputModel"]
        [view] = [m["content"]["data"]["application/vnd.jupyter.widget-view+json"] for m in outputs if m["msg_type"] == "execute_result"]
        self.assertEqual(opened[view["model_id"]]["children"], ["IPY_MODEL_" + slider, "IPY_MODEL_" + area])
        info = self.reply(self.send("comm_info_request", {"target_name": "jupyter.widget"}))
        self.assertLessEqual(set(opened), set(info["comms"]))

        # A person moves it. What the callback shows goes to the area below it.
        subshell = self.ask_control("create_subshell_request")["subshell_id"]
        for where in (None, subshell):
            moved = self.send("comm_msg", {"comm_id": slider, "data": {"method": "update", "state": {"value": 4}, "buffer_paths": []}}, where)
            seen = []
            for m in self.outputs(moved):
                c = m["content"]
                if m["msg_type"] == "comm_msg":
                    self.assertEqual(c["comm_id"], area)
                    seen.append(("msg_id", c["data"]["state"]["msg_id"]))
                else:
                    seen.append((m["msg_type"], c.get("text") or c.get("data", {}).get("text/plain")))
            self.assertEqual(seen, [("msg_id", moved), ("clear_output", None), ("stream", "now 4\n"), ("display_data", "16"), ("msg_id", "")])
        self.assertEqual(self.value(cell("slider_value")), ["4"])
        self.ask_control("delete_subshell_request", {"subshell_id": subshell})

        # A front end that was loaded again asks for all.
        self.send("comm_open", {"comm_id": "control", "target_name": "jupyter.widget.control", "data": {}})
        asked = self.send("comm_msg", {"comm_id": "control", "data": {"method": "request_states"}})
        states = self.iopub(asked, "comm_msg")["content"]["data"]["states"]
        self.assertEqual(states[slider]["state"]["value"], 4)

        # A callback that fails says so, and costs nothing.
        reply, outputs = self.run_cell(cell("bad_slider"))
        [slider] = [m["content"]["comm_id"] for m in outputs if m["msg_type"] == "comm_open" and m["content"]["data"]["state"]["_model_name"] == "FloatSliderModel"]
        moved = self.send("comm_msg", {"comm_id": slider, "data": {"method": "update", "state": {"value": 1}}})
        told = "".join(m["content"]["text"] for m in self.outputs(moved) if m["msg_type"] == "stream")
        self.assertIn("index out of range", told)
        self.assertIn("line 2", told)

    def test_survives_a_bad_signature(self):
        stranger = Session(key=b"not the key")
        stranger.send(self.kc.shell_channel.socket, "execute_request", {"code": cell("hello")})
        stranger.send(self.kc.control_channel.socket, "shutdown_request", {"restart": False})
        self.kc.shell_channel.socket.send_multipart([b"<IDS|MSG>"])
        self.assertEqual(self.value(cell("results")[0]["code"]), [cell("results")[0]["result"]])

    def test_the_heart_beats(self):
        self.kc.hb_channel.unpause()
        end = time.monotonic() + TIMEOUT
        while not self.kc.hb_channel.is_beating():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)


class Ending(unittest.TestCase):
    """Each test has a kernel of its own."""

    def setUp(self):
        self.km, self.kc = start_new_kernel(kernel_name="under-test", startup_timeout=TIMEOUT)
        self.dialogue = Dialogue()
        self.dialogue.km, self.dialogue.kc = self.km, self.kc

    def tearDown(self):
        self.kc.stop_channels()
        self.km.shutdown_kernel(now=True)

    def test_restart_forgets(self):
        self.dialogue.run_cell(cell("define"))
        before = self.km.provisioner.process.pid
        self.km.restart_kernel(now=False)
        self.kc.wait_for_ready(timeout=TIMEOUT)
        self.assertNotEqual(self.km.provisioner.process.pid, before)
        reply, _ = self.dialogue.run_cell(cell("defined"))
        # Where the kernel forgets there is nothing that could be read.
        self.assertEqual(reply["status"], cells.get("defined_after_restart", "error"))

    def ends_well(self, restart):
        process = self.km.provisioner.process
        asked = self.kc.session.msg("shutdown_request", {"restart": restart})
        self.kc.control_channel.send(asked)
        content = self.dialogue.reply(asked["header"]["msg_id"], self.kc.get_control_msg)
        self.assertEqual((content["status"], content["restart"]), ("ok", restart))
        self.assertEqual(process.wait(TIMEOUT), 0)

    def test_shutdown(self):
        self.ends_well(False)

    def test_shutdown_while_a_cell_runs(self):
        msg_id = self.kc.execute(cell("forever"))
        self.dialogue.iopub(msg_id, "stream")
        self.ends_well(True)

    def test_terminated(self):
        # SIGTERM is what Jupyter sends to a kernel that does not answer.
        process = self.km.provisioner.process
        process.terminate()
        self.assertEqual(process.wait(TIMEOUT), 0)


class Orphan(unittest.TestCase):
    def test_ends_when_its_jupyter_is_killed(self):
        jupyter = """if True:
            import os, signal
            from jupyter_client.manager import start_new_kernel
            km, kc = start_new_kernel(kernel_name="under-test")
            print(km.shell_port, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        """
        port = int(subprocess.run([sys.executable, "-c", jupyter], stdout=subprocess.PIPE, check=False).stdout)
        end = time.monotonic() + TIMEOUT
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
            except ConnectionRefusedError:
                return
            self.assertLess(time.monotonic(), end, "the kernel is still there")
            time.sleep(0.1)


class Handshake(unittest.TestCase):
    """A kernel that chooses its ports itself, and tells them to who started it."""

    def test_tells_its_ports(self):
        registry = zmq.Context.instance().socket(zmq.ROUTER)
        registry.RCVTIMEO = 1000 * TIMEOUT
        port = registry.bind_to_random_port("tcp://127.0.0.1")
        session = Session(key=b"secret")
        connection = {"transport": "tcp", "signature_scheme": "hmac-sha256", "key": "secret"}
        file = os.path.join(home, "registration.json")
        with open(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
            json.dump({**connection, "kernel_id": "registered", "registration_ip": "127.0.0.1", "registration_port": port}, f)
        process = subprocess.Popen([a.replace("{connection_file}", file) for a in plan["argv"]])
        try:
            identity, delimiter, signature, content = registry.recv_multipart()
            self.assertEqual((delimiter, signature), (b"<IDS|MSG>", session.sign([content])))
            told = json.loads(content)
            self.assertEqual(told.pop("kernel_id"), "registered")
            registry.send_multipart([identity, delimiter, session.sign([b"ACK"]), b"ACK"])
            # Another client reads the connection file that the kernel has written.
            others = os.path.join(os.environ["JUPYTER_RUNTIME_DIR"], "kernel-registered.json")
            for info in ({**connection, "ip": "127.0.0.1", **{name: int(port) for name, port in told.items()}}, None):
                client = BlockingKernelClient()
                if info:
                    client.load_connection_info(info)
                else:
                    client.load_connection_file(others)
                client.start_channels()
                client.wait_for_ready(TIMEOUT)
                if not info:
                    client.shutdown()
                client.stop_channels()
            self.assertEqual(process.wait(TIMEOUT), 0)
            self.assertFalse(os.path.exists(others))
        finally:
            process.kill()
            registry.close(0)


class Report(unittest.TestResult):
    def startTest(self, test):
        super().startTest(test)
        # A test that waits forever is told where, and ends the suite.
        faulthandler.dump_traceback_later(2 * TIMEOUT, exit=True)

    def tell(self, test, status, detail=""):
        print(json.dumps({"name": test.id().split("suite.")[-1].replace("__main__.", ""), "status": status, "detail": detail}), flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.tell(test, "ok")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.tell(test, "skip", reason)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.tell(test, "fail", "".join(traceback.format_exception(*err)))

    def addError(self, test, err):
        super().addError(test, err)
        self.tell(test, "fail", "".join(traceback.format_exception(*err)))

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.tell(subtest, "fail", "".join(traceback.format_exception(*err)))


if __name__ == "__main__":
    loader = unittest.defaultTestLoader
    suite = unittest.TestSuite(loader.loadTestsFromTestCase(c) for c in (Standard, Welcome, Dialogue, Ending, Orphan, Handshake))
    suite.run(Report())
    print(json.dumps({"name": "end", "status": "end"}), flush=True)
