"""Every generator's mark, in a file written as that generator writes it; and what looks like one and is none."""

import json

import pytest

from cameraborn.photo.provenance import read_provenance
from cameraborn.photo.provenance_fields import Field
from cameraborn.photo.provenance_marks import MARKS, UNNAMED, traces_of
from tests.photo.provenance_files import (
    SOURCE,
    ascii_tag,
    iim_segment,
    international,
    jpeg,
    png,
    raw_profile,
    saved,
    stealth,
    text,
    user_comment,
    with_xmp,
    xmp,
)
from tests.photo.test_exif import block

WEBUI = (
    "portrait of a woman\nNegative prompt: blurry\n"
    "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, Model hash: 0123456789"
)
NODES = json.dumps({"3": {"inputs": {"seed": 1, "steps": 20}, "class_type": "KSampler"}})
WORKFLOW = json.dumps({"last_node_id": 9, "nodes": [{"id": 3, "type": "KSampler"}], "links": [[1, 4, 0]]})
NOVELAI = json.dumps({"steps": 28, "sampler": "k_euler", "seed": 1, "uc": "lowres", "signed_hash": "x"})
UUID = "a7421d2f-b262-44f9-977c-ac23e9c7d3e3"
GENERATED = f'ext:DigitalSourceType="{SOURCE}trainedAlgorithmicMedia"'
MODEL = "NovelAI Diffusion V4 37442FCA"
RESOURCES = iim_segment((115, b"someone"), (110, b"Made with Google AI"))[1].removeprefix(b"Photoshop 3.0\0")
AIGC = '{"Label":"1","ContentProducer":"001191110108MA01KP2T5U","ProduceID":"x"}'


def with_exif(*ifd0, exif=()):
    return jpeg(exif=block(list(exif), list(ifd0)))


FILES = {
    "WebUI, PNG": (png(text("parameters", WEBUI)), "Stable Diffusion WebUI"),
    "WebUI, PNG with other letters": (png(international("parameters", "né\n" + WEBUI)), "Stable Diffusion WebUI"),
    "WebUI, behind the pixels": (png(behind=[text("parameters", WEBUI)]), "Stable Diffusion WebUI"),
    "WebUI, compressed": (png(international("parameters", WEBUI, compressed=True)), "Stable Diffusion WebUI"),
    "WebUI, JPEG": (with_exif(exif=[user_comment(WEBUI)]), "Stable Diffusion WebUI"),
    "WebUI, little-endian": (
        with_exif(exif=[user_comment(WEBUI, order="utf-16-le")]),
        "Stable Diffusion WebUI",
    ),
    "WebUI, WebP": (saved("WEBP", exif=block([user_comment(WEBUI)])), "Stable Diffusion WebUI"),
    "WebUI, AVIF": (saved("AVIF", exif=block([user_comment(WEBUI)])), "Stable Diffusion WebUI"),
    "WebUI, GIF": (saved("GIF", comment=WEBUI.encode()), "Stable Diffusion WebUI"),
    "WebUI, without a prompt": (png(text("parameters", WEBUI.splitlines()[-1])), "Stable Diffusion WebUI"),
    "WebUI, with another program's names": (
        png(text("parameters", "a\nSteps: 8, Guidance Scale: 7.5, Seed: 4, Model: sd_xl")),
        "Stable Diffusion WebUI",
    ),
    "WebUI, with templates behind": (
        png(text("parameters", WEBUI + "\nTemplate: a {b|c}\nNegative Template: d")),
        "Stable Diffusion WebUI",
    ),
    "WebUI, a comment of JPEG": (jpeg((0xFE, WEBUI.encode())), "Stable Diffusion WebUI"),
    "WebUI, TIFF": (saved("TIFF", exif=block([user_comment(WEBUI)])), "Stable Diffusion WebUI"),
    "WebUI, upscaled only": (
        png(text("postprocessing", "Postprocess upscale by: 4, Postprocess upscaler: R-ESRGAN 4x+")),
        "Stable Diffusion WebUI",
    ),
    "SD.Next": (png(text("parameters", WEBUI + ", App: SD.Next, Version: abc")), "SD.Next"),
    "Fooocus": (png(text("parameters", "{}"), text("fooocus_scheme", "fooocus")), "Fooocus"),
    "Fooocus, WebUI's scheme": (png(text("parameters", WEBUI + ", Version: Fooocus v2.5.5")), "Fooocus"),
    "Fooocus, JSON": (with_exif(exif=[user_comment('{"prompt": "a", "version": "Fooocus v2.5.5"}')]), "Fooocus"),
    "SwarmUI": (png(text("parameters", '{"sui_image_params": {"prompt": "a"}}')), "SwarmUI"),
    "ComfyUI, prompt": (png(text("prompt", NODES)), "ComfyUI"),
    "ComfyUI, workflow": (png(text("workflow", WORKFLOW)), "ComfyUI"),
    "ComfyUI, WebP": (
        saved("WEBP", exif=block([], [ascii_tag(0x10F, "workflow:" + WORKFLOW), ascii_tag(0x110, "prompt:" + NODES)])),
        "ComfyUI",
    ),
    "InvokeAI": (png(text("invokeai_metadata", '{"positive_prompt": "a"}')), "InvokeAI"),
    "InvokeAI 2": (png(text("sd-metadata", '{"app_id": "invoke-ai/InvokeAI", "image": {}}')), "InvokeAI"),
    "InvokeAI 1": (png(text("Dream", '"a face" -s50 -S1234 -W512 -H512 -C7.5 -Ak_lms')), "InvokeAI"),
    "NovelAI": (
        png(text("Software", "NovelAI"), text("Source", "Stable Diffusion 1D44365E"), text("Comment", NOVELAI)),
        "NovelAI",
    ),
    "NovelAI, title": (png(text("Title", "NovelAI generated image")), "NovelAI"),
    "NovelAI, source": (png(text("Source", "NovelAI Diffusion V4.5 4BDE2A90")), "NovelAI"),
    "a title that says it": (png(text("Title", "AI generated image")), UNNAMED),
    "NovelAI, comment alone": (png(text("Comment", NOVELAI)), "NovelAI"),
    "NovelAI, pixels": (
        png(picture=stealth(json.dumps({"Software": "NovelAI", "Comment": NOVELAI}), "stealth_pngcomp")),
        "NovelAI",
    ),
    "NovelAI, WebP": (
        saved("WEBP", exif=block([user_comment(json.dumps({"Comment": NOVELAI, "Software": "NovelAI"}))])),
        "NovelAI",
    ),
    "NovelAI, WebP, the model alone": (
        saved("WEBP", exif=block([user_comment(json.dumps({"Description": "a face", "Source": MODEL}))])),
        "NovelAI",
    ),
    "WebUI, pixels": (png(picture=stealth(WEBUI, "stealth_rgbinfo")), "Stable Diffusion WebUI"),
    "pixels of someone": (png(picture=stealth("?", "stealth_pnginfo")), UNNAMED),
    "Easy Diffusion": (png(text("use_stable_diffusion_model", "sd-v1-4")), "Easy Diffusion"),
    "Hugging Face": (png(text("hf-job-id", UUID)), "Hugging Face"),
    "Draw Things": (with_xmp(attributes='xmp:CreatorTool="Draw Things"'), "Draw Things"),
    "Midjourney": (
        png(text("Description", f"a face --ar 2:3 --v 6 Job ID: {UUID}"), text("Author", "someone")),
        "Midjourney",
    ),
    "Midjourney, JPEG": (with_exif(ascii_tag(0x10E, f"a face --v 6.1 Job ID: {UUID}")), "Midjourney"),
    "Midjourney, XMP": (
        with_xmp(f"<dc:description><rdf:Alt><rdf:li>a --v 5 Job ID: {UUID}</rdf:li></rdf:Alt></dc:description>"),
        "Midjourney",
    ),
    "Midjourney, IPTC": (jpeg(iim_segment((120, f"a face Job ID: {UUID}".encode()))), "Midjourney"),
    "Google": (with_xmp(attributes='photoshop:Credit="Made with Google AI"'), "Google AI"),
    "Google, IPTC": (jpeg(iim_segment((110, b"Made with Google AI"))), "Google AI"),
    "Firefly": (with_xmp(attributes='xmp:CreatorTool="Adobe Firefly 1.0"'), "Adobe Firefly"),
    "Firefly in a history": (
        with_xmp(
            "<xmpMM:History><rdf:Seq><rdf:li><rdf:Description stEvt:action=\"saved\" "
            'stEvt:softwareAgent="Adobe Firefly"/></rdf:li></rdf:Seq></xmpMM:History>'
        ),
        "Adobe Firefly",
    ),
    "DALL-E": (with_exif(ascii_tag(0x131, "OpenAI DALL-E 3")), "OpenAI"),
    "Microsoft": (with_exif(ascii_tag(0x131, "Bing Image Creator")), "Microsoft"),
    "Gemini": (with_exif(ascii_tag(0x131, "Google Gemini")), "Google AI"),
    "xAI": (
        with_exif(ascii_tag(0x10E, "Signature: " + "Ab+/" * 30), ascii_tag(0x13B, UUID)),
        "xAI Grok",
    ),
    "China's label": (
        with_xmp(f"<TC260:AIGC>{AIGC.replace(chr(34), '&quot;')}</TC260:AIGC>"),
        "a generator, labelled as GB 45438 asks",
    ),
    "China's label, EXIF": (
        with_exif(exif=[user_comment('{"AIGC":' + AIGC + "}")]),
        "a generator, labelled as GB 45438 asks",
    ),
    "IPTC, small letters": (
        with_xmp("<ext:DigitalSourceType>trainedalgorithmicmedia</ext:DigitalSourceType>"),
        UNNAMED,
    ),
    "IPTC, a qualified code": (
        with_xmp("<ext:DigitalSourceType>digsrctype:trainedAlgorithmicMedia</ext:DigitalSourceType>"),
        UNNAMED,
    ),
    "IPTC, a resource": (
        with_xmp(f'<ext:DigitalSourceType rdf:resource="{SOURCE}trainedAlgorithmicMedia"/>'),
        UNNAMED,
    ),
    "IPTC, a text": (
        with_xmp(f"<ext:DigitalSourceType>{SOURCE}trainedAlgorithmicMedia</ext:DigitalSourceType>"),
        UNNAMED,
    ),
    "IPTC, an attribute": (with_xmp(attributes=GENERATED), UNNAMED),
    "IPTC, PNG": (
        png(international("XML:com.adobe.xmp", xmp(attributes=GENERATED))),
        UNNAMED,
    ),
    "IPTC, WebP": (
        saved("WEBP", xmp=xmp(attributes=GENERATED).encode()),
        UNNAMED,
    ),
    "Ideogram": (with_exif(ascii_tag(0x131, "Ideogram 2.0")), "Ideogram"),
    "IPTC, PNG of ImageMagick's": (png(raw_profile("xmp", xmp(attributes=GENERATED).encode())), UNNAMED),
    "IPTC, PNG of ImageMagick's, a segment": (
        png(raw_profile("APP1", b"http://ns.adobe.com/xap/1.0/\0" + xmp(attributes=GENERATED).encode())),
        UNNAMED,
    ),
    "Google, PNG of ImageMagick's": (png(raw_profile("8bim", RESOURCES)), "Google AI"),
    "Google, PNG of ImageMagick's, IPTC": (png(raw_profile("iptc", RESOURCES)), "Google AI"),
    "Google, PNG of ImageMagick's, data sets": (png(raw_profile("iptc", RESOURCES[12:])), "Google AI"),
    "Stability": (with_exif(ascii_tag(0x131, "Stability AI")), "Stability AI"),
    "Stable Diffusion as a camera": (with_exif(ascii_tag(0x110, "Stable Diffusion XL")), "Stable Diffusion"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_generator_is_named(name):
    data, generator = FILES[name]
    found = read_provenance(data)
    assert found.traces[0].generator == generator
    assert found.says == "generated"
    assert found.summary == f"generated by {generator}, as its metadata say"
    assert found.camera is None or generator == "Stable Diffusion"


@pytest.mark.parametrize(
    ("data", "generator"),
    [
        (with_xmp(attributes='photoshop:Credit="Edited with Google AI"'), "Google AI"),
        (
            with_xmp(attributes=f'ext:DigitalSourceType="{SOURCE}compositeWithTrainedAlgorithmicMedia"'),
            UNNAMED,
        ),
        (
            with_xmp(
                '<xmpMM:History><rdf:Seq><rdf:li stEvt:action="created" stEvt:softwareAgent="Adobe Photoshop 25.0"/>'
                '<rdf:li stEvt:action="derived" stEvt:softwareAgent="Adobe Firefly"/></rdf:Seq></xmpMM:History>',
                f'ext:DigitalSourceType="{SOURCE}compositeWithTrainedAlgorithmicMedia"',
            ),
            "Adobe Firefly",
        ),
        (
            with_xmp(
                '<xmpMM:Pantry><rdf:Bag><rdf:li><rdf:Description xmp:CreatorTool="Adobe Firefly">'
                f"<ext:DigitalSourceType>{SOURCE}trainedAlgorithmicMedia</ext:DigitalSourceType>"
                "</rdf:Description></rdf:li></rdf:Bag></xmpMM:Pantry>"
            ),
            "Adobe Firefly",
        ),
    ],
)
def test_a_part_is_told_from_the_whole(data, generator):
    found = read_provenance(data)
    assert found.says == "partly generated"
    assert found.summary == f"partly generated by {generator}, as its metadata say"


NONE = {
    "a caption": with_exif(ascii_tag(0x10E, "Midjourney and DALL-E at the Stable Diffusion conference")),
    "an editor of photographs": with_exif(ascii_tag(0x131, "Imagen 3.2 (ImagenAI photo editing)")),
    "a profile of an editor": with_exif(ascii_tag(0x131, "Adobe Lightroom Classic 13 Imagen-1")),
    "a program for pages": with_exif(ascii_tag(0x131, "Microsoft Designer")),
    "profiles that are none": png(
        raw_profile("xmp", b"none"),
        raw_profile("iptc", b"8BIM\x04\x04"),
        text("Raw profile type iptc", "\niptc\n 4\nwxyz"),
        text("Raw profile type xmp", ""),
    ),
    "a photographer": with_exif(ascii_tag(0x13B, "Gemini Grok")),
    "a phone": with_exif(ascii_tag(0x10F, "Xiaomi"), ascii_tag(0x110, "gemini")),
    "an editor": with_exif(ascii_tag(0x131, "Adobe Photoshop 25.0")),
    "a title": png(text("Title", "Firefly")),
    "a workflow of others": png(text("workflow", '{"name": "review", "state": "done"}')),
    "a comment": png(text("Comment", "Steps: many; sampler: mine")),
    "a recipe": jpeg((0xFE, b"Steps: 3, then bake")),
    "a dream": png(text("Dream", "I had a dream")),
    "a description": png(text("Description", "Job ID: 12345")),
    "an agency": png(text("Description", f"Delivery for agency. Job ID: {UUID}")),
    "an agency's caption": jpeg(iim_segment((120, f"Client: Smith & Sons Job ID: {UUID}".encode()))),
    "an agency's note": with_exif(ascii_tag(0x10E, f"Job ID: {UUID}")),
    "a job in the middle": png(text("Description", f"a face --v 6 Job ID: {UUID}, printed by us")),
    "a job in a comment": jpeg((0xFE, f"a face --v 6 Job ID: {UUID}".encode())),
    "a tutorial": png(
        text("Description", "Screenshot from a tutorial on Stable Diffusion: Steps: 20, Sampler: Euler")
    ),
    "a tutorial, JPEG": with_exif(ascii_tag(0x10E, f"How to set it. {WEBUI.splitlines()[-1]}")),
    "a tutorial, WebP": saved(
        "WEBP", exif=block([user_comment("What to set:\nSteps: 20, Sampler: Euler a")])
    ),
    "a talk on Fooocus": png(text("Comment", "What is new in Version: Fooocus v2.5.5")),
    "a talk on JSON": png(text("Comment", 'ComfyUI writes "class_type": and "inputs": in its nodes')),
    "a talk on labels": png(text("Comment", 'write "Label": "1" and "ContentProducer": "x"')),
    "a talk on SwarmUI": jpeg((0xFE, b'look for "sui_image_params": in it')),
    "a talk on NovelAI": png(
        text("Comment", "NovelAI Diffusion is a model"), text("Source", "NovelAI Diffusion, a book")
    ),
    "a source": png(text("Source", "a screenshot of Midjourney")),
    "a computer": with_exif(ascii_tag(0x13C, "grok.local")),
    "a credit of others": with_xmp(attributes='photoshop:Credit="Not made with Google AI"'),
    "a signature without its number": with_exif(ascii_tag(0x10E, "Signature: " + "Ab+/" * 30)),
    "a camera by IPTC": with_xmp(attributes=f'ext:DigitalSourceType="{SOURCE}digitalCapture"'),
    "a credit": with_xmp(attributes='photoshop:Credit="Google"'),
}


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_mark(name):
    found = read_provenance(NONE[name])
    assert found.traces == ()
    assert found.says in ("nothing", "camera")


def test_the_source_type_is_reported_whatever_it_is():
    assert read_provenance(NONE["a camera by IPTC"]).source_type == "digitalCapture"
    assert read_provenance(NONE["a caption"]).source_type is None


def test_excerpts_are_short_and_begin_where_the_mark_stands():
    (trace,) = traces_of([Field("PNG text", "parameters", "a secret prompt " * 50 + WEBUI)])
    assert trace.excerpt.startswith("Steps: 20, Sampler: Euler a")
    assert len(trace.excerpt) <= 103
    assert trace.place == "PNG text parameters"


@pytest.mark.parametrize(
    "repeated", ["Steps: 1, ", '"nodes": [', '{"Label":"1",', "a.Job ID: a7421d2f-", "\n\n", "google ai "]
)
def test_no_pattern_takes_long(repeated):
    field = Field("EXIF", "UserComment", repeated * (1 << 18 // len(repeated)))
    for place, name in (
        ("EXIF", "UserComment"),
        ("PNG text", "Software"),
        ("XMP", "photoshop:Credit"),
        ("PNG text", "workflow"),
    ):
        traces_of([Field(place, name, field.text)] * 3)


def test_every_line_of_the_table_can_be_reached():
    reached = {trace.generator for data, _ in FILES.values() for trace in read_provenance(data).traces}
    # These name themselves in fields that the tests of C2PA write.
    assert {mark.generator for mark in MARKS} - reached <= {"FLUX", "Leonardo.Ai", "ByteDance"}
