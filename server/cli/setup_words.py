"""Words said before `schema/i18n` can be read: set-up steps, its errors, and the list of commands.

Each entry is (Chinese, English). This is the one Python file that may hold Chinese literals.
"""

STEPS = {
    "venv": ("创建 Python 环境", "Python environment"),
    "packages": ("安装 Python 包", "Python packages"),
    "dev_packages": ("安装测试工具", "test tools"),
    "node": ("安装 Node", "Node"),
    "npm": ("安装前端包", "front-end packages"),
    "build": ("构建手机端", "build the app"),
    "vendor": ("复制网页脚本", "web page scripts"),
}

# One sentence in each language, each saying what to do.
ERRORS = {
    "no_venv_module": (
        "此 Python 缺少 venv 或 ensurepip 模块:请先安装它(Debian/Ubuntu:apt-get install {package}),"
        "再运行同一命令。",
        "This Python lacks the venv or ensurepip module: install it first (Debian/Ubuntu: apt-get"
        " install {package}), then run the same command.",
    ),
    "no_write": (
        "没有写入 {path} 的权限:请换一个有写权限的目录或用户,再运行同一命令。",
        "No right to write in {path}: use a folder or a user that may write there, then run the"
        " same command.",
    ),
    "disk_full": (
        "{path} 所在磁盘空间不足(剩余 {free} MiB,首次准备约需 {need} MiB):请腾出空间,"
        "再运行同一命令。",
        "The disk that holds {path} is too full ({free} MiB free, a first set-up needs about {need}"
        " MiB): free some space, then run the same command.",
    ),
    "no_registry": (
        "步骤「{step[0]}」连不上软件包源:请检查网络或代理,或设置内网镜像({setting}),"
        "再运行同一命令;详见 {log}。",
        "Step “{step[1]}” could not reach the package registry: check the network or proxy, or set"
        " a mirror ({setting}), then run the same command; details are in {log}.",
    ),
    "no_node": (
        "找不到可用的 Node(≥ 20.19,带 npm):请安装它或用环境变量 NODE 指明,再运行同一命令。",
        "No usable Node (≥ 20.19, with npm) was found: install one or name it in the variable NODE,"
        " then run the same command.",
    ),
    "step_failed": (
        "步骤「{step[0]}」失败:请按下面最后几行输出处理,再运行同一命令;完整记录在 {log}。",
        "Step “{step[1]}” failed: act on the last lines of its output below, then run the same"
        " command; the whole output is in {log}.",
    ),
    "file_trouble": (
        "读写 {path} 时出错({reason}):请排除此问题,再运行同一命令。",
        "Reading or writing {path} failed ({reason}): remove that trouble, then run the same"
        " command.",
    ),
}

WAITING = (
    "另一个准备过程正在进行,等它完成……",
    "Another set-up is running; waiting for it to end…",
)
STOPPED = (
    "准备已中断:再次运行同一命令即可继续。",
    "Set-up was stopped: run the same command again and it goes on.",
)

# command: (module under server.cli, Chinese, English). Listed only when the module exists.
COMMANDS = {
    "demo": (
        "demo",
        "用真实单位名录演示主流程",
        "show the main job with the real register of units",
    ),
    "serve": ("serve", "启动服务", "start the server"),
    "dev": ("dev", "开发:两端自动重载", "develop: server and app reload by themselves"),
    "test": ("test", "运行全部测试", "run all tests"),
    "check": ("check", "格式、类型与单元测试", "formatting, types and unit tests"),
    "sim": (
        "sim",
        "在模拟的坏网络、坏时钟、坏磁盘中检验同步",
        "test the sync under simulated bad networks, clocks and disks",
    ),
    "bench": (
        "bench",
        "测量性能,并与同类系统对比",
        "measure how fast it is, beside its peers",
    ),
    "emit": ("emit", "由 schema/ 生成文件", "write the files generated from schema/"),
    "doctor": (
        "doctor",
        "体检：版本、设置、磁盘、时钟、证书、备份",
        "examine versions, settings, disk, clock, certificate and backup",
    ),
    "verify": (
        "verify",
        "核对全部数据：哈希链、签名、摘要、照片",
        "check all that is kept: hash chain, signatures, digests, photos",
    ),
    "cert": ("cert", "证书:查看与续期", "certificate: show and renew"),
    "shots": ("shots", "生成说明文档的图片", "make the pictures of the README"),
}

ABOUT = (
    "令达:离线也能送达的指令。",
    "LingDa: directives that arrive, even offline.",
)

MISSING_SYSTEM = (
    "测试需要系统软件包:{names}",
    "The tests need system packages: {names}",
)
ASK_INSTALL = (
    "现在用「{command}」安装吗?",
    "Install them now with “{command}”?",
)
INSTALL_BY_HAND = (
    "请安装后再测:{command};这次不含需要它们的测试。",
    "Install them and test again: {command}. This run leaves out the tests that need them.",
)
NO_APT = (
    "本机没有 apt-get,请用系统自带方式安装 {names};这次不含需要它们的测试。",
    "This machine has no apt-get: install {names} its own way. This run leaves out the tests that"
    " need them.",
)
CANNOT_INSTALL = (
    "无法安装 {names},测试失败:请手动运行 {command} 查看原因。",
    "Could not install {names}, so the tests fail: run {command} by hand to see why.",
)
BLIND = (
    "类型检查器是瞎的:{tool} 没有报告故意埋下的错误",
    "the type checker is blind: {tool} did not report the planted error",
)
STALE = (
    "这些生成文件已过期,请运行 python3 run.py emit:",
    "These generated files are stale, run python3 run.py emit:",
)


def both(words: tuple[str, str], separator: str = "\n") -> str:
    """The text in Chinese, then in English."""
    return separator.join(words)
