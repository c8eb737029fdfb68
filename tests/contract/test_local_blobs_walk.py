"""The lazy walk behind listings: what it reads, and what it leaves unread."""

from itertools import islice

import pytest

from storage.backends.local_files_listing import BATCH, SortedWalk, SpelledWalk
from storage.backends.local_files_names import spell, unspell


class Tree:
    """Folders in memory that remember which of them were read."""

    def __init__(self, paths):
        self.read: list[bytes] = []
        self._folders: dict[bytes, dict[bytes, bool]] = {b"": {}}
        for path in paths:
            folder = b""
            *parents, name = path.split(b"/")
            for parent in parents:
                self._folders[folder][parent] = True
                folder += parent + b"/"
                self._folders.setdefault(folder, {})
            self._folders[folder][name] = False

    def entries(self, folder):
        self.read.append(folder)
        return reversed(self._folders.get(folder, {}).items())


class TestWalk:
    def test_a_walk_reads_only_the_folders_it_comes_through(self):
        tree = Tree([b"a/1", b"b/1", b"b/2", b"c/1"])
        walk = SortedWalk(tree.entries, prefix=b"b/", floor=b"b/")
        assert list(walk) == [b"b/1", b"b/2"]
        assert tree.read == [b"b/"]

    def test_a_walk_from_a_cursor_skips_whole_folders_unread(self):
        tree = Tree([b"a/1", b"b/1", b"b/x/1", b"b/x/2", b"c/1"])
        walk = SortedWalk(tree.entries, prefix=b"", floor=b"b/x/1\0")
        assert list(walk) == [b"b/x/2", b"c/1"]
        assert tree.read == [b"", b"b/", b"b/x/", b"c/"]

    def test_raising_the_floor_leaves_the_rest_of_a_folder_unread(self):
        tree = Tree([b"a/1", b"a/deep/er/2", b"b"])
        walk = SortedWalk(tree.entries, prefix=b"", floor=b"")
        ahead = iter(walk)
        assert next(ahead) == b"a/1"
        walk.floor = b"a0"
        assert list(ahead) == [b"b"]
        assert tree.read == [b"", b"a/"]

    def test_a_page_of_a_large_tree_stops_where_it_is_full(self):
        tree = Tree([b"%03d/%03d" % (folder, name) for folder in range(100) for name in range(3)])
        assert len(list(islice(SortedWalk(tree.entries, prefix=b"", floor=b""), 7))) == 7
        assert tree.read == [b"", b"000/", b"001/", b"002/"]

    def test_a_folder_of_more_names_than_are_held_at_once_is_complete_and_sorted(self):
        paths = [b"%06d" % number for number in range(2 * BATCH + 5)]
        assert list(SortedWalk(Tree(paths).entries, prefix=b"", floor=b"")) == paths

    def test_a_thousand_folders_deep_is_no_deeper_for_the_walk(self):
        path = b"/".join([b"d"] * 450)
        assert list(SortedWalk(Tree([path]).entries, prefix=b"", floor=b"")) == [path]

    @pytest.mark.parametrize("size", [1, 119, 120, 121, 240, 241, 900])
    def test_a_spelling_can_be_read_back_and_fits_any_file_system(self, size):
        key = b"k" * size
        assert unspell(spell(key)) == key
        assert max(map(len, spell(key).split(b"/"))) <= 241

    @pytest.mark.parametrize("path", [b"zz", b"6", b"61+/62", b"61/62", b"6A", b"61 62", b"\xff"])
    def test_what_is_no_spelling_is_no_key(self, path):
        assert unspell(path) is None

    def test_spellings_keep_order_and_prefixes(self):
        keys = sorted([b"a", b"a/b", b"k" * 120, b"k" * 119 + b"l", b"k" * 121, b"k" * 241, "\u00e9".encode()])
        tree = Tree([spell(key) for key in keys])
        walk = SpelledWalk(tree.entries, prefix=b"", floor=b"", spell=spell, unspell=unspell)
        assert list(walk) == keys
        below = SpelledWalk(tree.entries, prefix=b"k" * 120, floor=b"k" * 120, spell=spell, unspell=unspell)
        assert list(below) == [key for key in keys if key.startswith(b"k" * 120)]
