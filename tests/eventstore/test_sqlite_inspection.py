"""What the adapters say of how their stores are set up."""

from pathlib import Path

from unspool.eventstore.sqlite.inspection import file_system_of

MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /data rw - nfs4 server:/export rw
31 30 254:1 / /data/local\\040disk rw - xfs /dev/vdb rw
"""


def test_the_file_system_of_a_file_is_that_of_the_nearest_mount(tmp_path):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert file_system_of(Path("/home/me/store.db"), mounts) == "ext4"
    assert file_system_of(Path("/data/store.db"), mounts) == "nfs4"
    assert file_system_of(Path("/data/local disk/store.db"), mounts) == "xfs"


def test_a_system_without_mountinfo_has_none(tmp_path):
    assert file_system_of(Path("/data/store.db"), tmp_path / "absent") is None
