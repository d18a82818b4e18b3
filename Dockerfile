FROM python:3.13-slim
RUN useradd --create-home millzbot
WORKDIR /srv/millzbot
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes --requirement requirements.lock
COPY . .
RUN pip install --no-cache-dir --no-deps --editable . && install -d -o millzbot data
USER millzbot
VOLUME /srv/millzbot/data
CMD ["millzbot", "run"]
