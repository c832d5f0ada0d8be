"""A server that speaks S3, on this machine, with nothing behind it."""

import pytest


@pytest.fixture(scope="session")
def bucket():
    """The address of a bucket; the environment says where its server is."""
    pytest.importorskip("pyarrow", reason="needs pip install 'cameraborn[cluster]'")
    server = pytest.importorskip("moto.server", reason="needs pip install 'moto[s3,server]'")
    from pyarrow import fs

    running = server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        storage = fs.S3FileSystem(
            endpoint_override=f"{host}:{port}", scheme="http", allow_bucket_creation=True
        )
        storage.create_dir("album")
        yield "s3://album"
    running.stop()
