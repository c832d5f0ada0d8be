"""Trees of generators, as the papers publish their test sets."""

from tests.data.adapters.helpers import picture, rows


def tree(tmp_path, *names):
    for name in names:
        picture(tmp_path / "data" / name)
    return tmp_path / "data"


def by_name(source, found):
    return {str(type(source)(row.path).relative_to(source)): row for row in found}


def test_the_papers_test_sets(tmp_path):
    source = tree(
        tmp_path,
        "celeba-face/1.jpg",
        "celeba-face/2.jpg",
        "celeba-face/3.jpg",
        "VQ-GAN_celebahq/1.png",
        "SDXL/cartoon/7.png",
        "stable_diffusion_v_2_1_text2img_p2g3/8.png",
        "FreeDoM_T/9.png",
    )
    (source / "train.txt").write_text("/home/authors/data/celeba-face/1.jpg\n\n")
    (source / "test.txt").write_text("./data/celeba-face/2.jpg\n")
    found = by_name(source, rows("tree", source))
    assert {name: (row.label, row.generator, row.split) for name, row in found.items()} == {
        "celeba-face/1.jpg": ("photo", "", "fit"),
        "celeba-face/2.jpg": ("photo", "", "test"),
        "celeba-face/3.jpg": ("photo", "", ""),
        "VQ-GAN_celebahq/1.png": ("generated", "vqgan", "test"),
        "SDXL/cartoon/7.png": ("generated", "sdxl", "test"),
        "stable_diffusion_v_2_1_text2img_p2g3/8.png": ("generated", "sdv21", "test"),
        "FreeDoM_T/9.png": ("generated", "freedom", "test"),
    }
    # the generator was conditioned on the photograph of that name
    assert found["celeba-face/1.jpg"].group == found["VQ-GAN_celebahq/1.png"].group


def test_blades_keeps_its_lists_beside_the_photographs(tmp_path):
    source = tree(tmp_path, "celeba-face/imgs/1.jpg", "ddim/1.png")
    (source / "celeba-face" / "train.txt").write_text("imgs\\1.jpg\n")
    found = by_name(source, rows("tree", source))
    assert (found["celeba-face/imgs/1.jpg"].label, found["celeba-face/imgs/1.jpg"].split) == ("photo", "fit")
    assert found["ddim/1.png"].generator == "ddim"


def test_trees_with_photographs_beside_each_generator(tmp_path):
    source = tree(
        tmp_path,
        "ADM/imagenet_ai_0508_adm/train/ai/1.png",
        "ADM/imagenet_ai_0508_adm/val/nature/2.jpg",
        "progan/cat/1_fake/3.png",
        "progan/cat/0_real/4.png",
    )
    found = by_name(source, rows("tree", source))
    assert {name: (row.label, row.generator, row.split) for name, row in found.items()} == {
        "ADM/imagenet_ai_0508_adm/train/ai/1.png": ("generated", "adm", "train"),
        "ADM/imagenet_ai_0508_adm/val/nature/2.jpg": ("photo", "", "val"),
        "progan/cat/1_fake/3.png": ("generated", "progan", ""),
        "progan/cat/0_real/4.png": ("photo", "", ""),
    }


def test_photographs_stay_with_the_generator_whose_folder_they_are_in(tmp_path):
    """CNNSpot's and GenImage's sets: pictures of one name in two generators' folders have nothing in common."""
    source = tree(
        tmp_path,
        "progan/cat/0_real/1.png",
        "progan/cat/1_fake/1.png",
        "Midjourney/0_real/1.png",
        "Midjourney/1_fake/1.png",
        "ADM/val/nature/1.jpg",
        "celeba-face/1.jpg",
        "ddim/1.png",
    )
    found = by_name(source, rows("tree", source))
    assert {name: (row.kind, row.source, row.group) for name, row in found.items()} == {
        "progan/cat/0_real/1.png": ("progan", "progan/0_real", "progan/1"),
        "progan/cat/1_fake/1.png": ("progan", "progan", "progan/1"),
        "Midjourney/0_real/1.png": ("midjourney", "midjourney/0_real", "midjourney/1"),
        "Midjourney/1_fake/1.png": ("midjourney", "midjourney", "midjourney/1"),
        "ADM/val/nature/1.jpg": ("adm", "adm/nature", "adm/1"),
        "celeba-face/1.jpg": ("", "celeba-face", "1"),
        "ddim/1.png": ("", "ddim", "1"),
    }


def test_one_folder_of_a_tree(tmp_path):
    source = tree(tmp_path, "SDXL/1.png", "ffhq/00000/2.png")
    (generated,) = rows("tree", source / "SDXL")
    assert (generated.label, generated.generator) == ("generated", "sdxl")
    (photo,) = rows("tree", source / "ffhq")
    assert (photo.label, photo.source) == ("photo", "ffhq")
