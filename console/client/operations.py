"""What a client can do: a table of descriptions, the same for those that block and those that await."""

from console.client import describe
from console.client.call import Asks, Follows, Lists, Talks


class Operations:
    """Methods of Client and of AsyncClient."""

    submit = Asks(describe.submit)
    submit_url = Asks(describe.submit_url)
    submit_path = Asks(describe.submit_path)
    submit_many = Lists(describe.submit_many)
    status_of_many = Lists(describe.status_of_many)
    job = Asks(describe.job)
    jobs = Lists(describe.jobs)
    wait = Talks(describe.wait)
    verdict = Asks(describe.verdict)
    picture = Asks(describe.picture)
    cancel = Asks(describe.cancel)
    rerun = Asks(describe.rerun)
    erase = Asks(describe.erase)
    receipts = Asks(describe.receipts)
    receipt = Asks(describe.receipt)
    receipt_key = Asks(describe.receipt_key)
    decide = Asks(describe.decide)
    decisions = Lists(describe.decisions)
    decisions_on = Asks(describe.decisions_on)
    watch = Asks(describe.watch)
    streams = Asks(describe.streams)
    stream = Asks(describe.stream)
    stream_windows = Lists(describe.stream_windows)
    stream_verdict = Asks(describe.stream_verdict)
    stop_stream = Asks(describe.stop_stream)
    events = Follows(describe.events)
    job_events = Follows(describe.job_events)
    stream_events = Follows(describe.stream_events)
    add_webhook = Asks(describe.add_webhook)
    webhooks = Asks(describe.webhooks)
    delete_webhook = Asks(describe.delete_webhook)
    rotate_webhook = Asks(describe.rotate_webhook)
    webhook_attempts = Asks(describe.webhook_attempts)
    replay_webhook = Asks(describe.replay_webhook)
    create_key = Asks(describe.create_key)
    keys = Asks(describe.keys)
    revoke_key = Asks(describe.revoke_key)
    me = Asks(describe.me)
    plugins = Asks(describe.plugins)
