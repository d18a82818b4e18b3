"""gpt-2-simple at work, in a process of its own: it trains a small model, and says what that makes of a text.

`python -m tests.gpt2_simple_run FOLDER STEPS` leaves the run FOLDER/checkpoint/run1 and FOLDER/reference.npz: `ids`
(windows, tokens) of a text that it was not trained on; `whole`, the logits (windows, tokens, n_vocab) of each window at
once; `stepwise`, those (tokens, n_vocab) of the first window's first tokens, fed one by one with their past.
"""

import os
import random
import sys
from pathlib import Path
from typing import Any

import gpt_2_simple
import numpy as np
import tensorflow as tf
from gpt_2_simple.src import encoder, model

from tests.checkpoints import TINY, posts, tiny_vocabulary
from training.untrained import Shape, write_untrained

RUN = Path("checkpoint/run1")
WINDOWS, WINDOW, STEPWISE = 4, 1024, 100


def main(folder: Path, steps: int) -> None:
    os.chdir(folder)  # gpt-2-simple writes where it stands
    random.seed(1)  # it draws its windows from here
    Path("text.txt").write_text(posts(seed=1, count=2000), encoding="utf-8")
    shape = Shape(TINY.n_vocab, TINY.n_embd, TINY.n_head, TINY.n_layer, TINY.n_ctx)
    write_untrained(Path("models/base"), tiny_vocabulary(), shape, seed=1)
    session = gpt_2_simple.start_tf_sess()
    gpt_2_simple.finetune(
        session,
        "text.txt",
        steps=steps,
        model_name="base",
        batch_size=1,
        accumulate_gradients=1,
        learning_rate=1e-3,  # from a random start
        sample_every=10**9,
        print_every=25,
    )
    gpt_2_simple.reset_session(session).close()
    tokens = encoder.get_encoder(str(RUN)).encode(posts(seed=2, count=500))
    ids = np.array(tokens[: WINDOWS * WINDOW]).reshape(WINDOWS, WINDOW)
    np.savez("reference.npz", ids=ids, **reference(ids))


def reference(ids: Any) -> dict[str, Any]:
    """What gpt_2_simple's own graph makes of the windows, with and without a past."""
    hparams = model.HParams(**vars(TINY))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tokens = tf.compat.v1.placeholder(tf.int32, [1, None])
        past = tf.compat.v1.placeholder(tf.float32, model.past_shape(hparams=hparams, batch_size=1))
        whole = model.model(hparams=hparams, X=tokens)
        step = model.model(hparams=hparams, X=tokens, past=past, reuse=True)
        tf.compat.v1.train.Saver().restore(session, tf.train.latest_checkpoint(str(RUN)))
        windows = [session.run(whole["logits"], {tokens: window[None]})[0] for window in ids]
        steps = []
        cache = np.zeros(model.past_shape(hparams=hparams, batch_size=1, sequence=0), np.float32)
        for token in ids[0, :STEPWISE]:
            logits, present = session.run((step["logits"], step["present"]), {tokens: [[token]], past: cache})
            steps.append(logits[0, 0])
            cache = np.concatenate([cache, present], axis=-2)
        return {"whole": windows, "stepwise": steps}


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
